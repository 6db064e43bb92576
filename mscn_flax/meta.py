"""The outer loop (eq. 3 and 8): the only vmap over signals, the train state, one outer step.

What the outer loop learns is a dict `theta`: the field's parameters (theta0 of the paper), the MetaSGD learning rates,
and, for a method with gates, their log_alpha (phi0). What the inner loop adapts is a dict too: the signal's code (delta
theta) and, where `adapt_gates` is set, an update of log_alpha (delta phi).
"""

import dataclasses
import math
from collections.abc import Callable

import flax.linen as nn
import flax.struct
import gin
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PyTree

from mscn_flax import metrics
from mscn_flax.adapt import adapt
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.gates import GateState, HardConcrete, initial_log_alpha, top_n_mask
from mscn_flax.prune import PruningRounds
from mscn_flax.sparsity import CodeGates, Form, GradientGates

SIGNALS = "signals"
"""Name of the mesh axis along which signals are divided."""

Theta = dict[str, PyTree]


@gin.configurable
@dataclasses.dataclass(frozen=True)
class MetaLearner:
    """A field, what gates it, and how its code is fitted to one signal.

    Attributes:
      field: maps coordinates and a code to values; see `siren.py` and `delta.py`.
      controller: what closes gates, and when: the budget of learned gates, or rounds of pruning; None for a method
        without gates (Functa).
      form: where the gates act.
      hard_concrete: distribution of the gates.
      inner_steps: K, gradient steps a signal.
      inner_lr_range: the inner learning rates start at U(low, high), one an entry of the code.
      meta_sgd: learn them in the outer loop; otherwise they stay as they start.
      first_order: drop second derivatives.
      remat: memory constant in `inner_steps`, at the price of speed; see `adapt`.
      adapt_gates: give each signal its own pattern by adapting log_alpha in the inner loop (delta phi, eq. 8).
      gate_inner_lr: start of the learned learning rates of delta phi; large, because the mean loss changes by only some
        1e-5 a unit of log_alpha.
      open_probability: sigmoid of the mean log_alpha at initialisation; P(z > 0) is higher, 0.98 at 0.9.
      log_alpha_spread: standard deviation of log_alpha at initialisation.
    """

    field: nn.Module | DeltaSiren
    controller: BudgetController | PruningRounds | None = None
    form: Form = dataclasses.field(default_factory=CodeGates)
    hard_concrete: HardConcrete = dataclasses.field(default_factory=HardConcrete)
    inner_steps: int = 3
    inner_lr_range: tuple[float, float] = (0.005, 0.1)
    meta_sgd: bool = True
    first_order: bool = False
    remat: bool = True
    adapt_gates: bool = False
    gate_inner_lr: float = 1e4
    open_probability: float = 0.9
    log_alpha_spread: float = 0.01

    def __post_init__(self):
        if self.learns_gates:
            gates = math.prod(self.form.gate_shape(self.field))
            if not 1 <= self.controller.budget <= gates:
                raise ValueError(f"a budget of {self.controller.budget} needs as many gates, the field has {gates}")
        if self.inner_steps < 1:
            raise ValueError(f"MetaLearner.inner_steps must be at least 1, got {self.inner_steps}")
        if self.adapt_gates and isinstance(self.form, GradientGates):
            raise ValueError("MetaLearner.adapt_gates needs gates that the inner loss sees, gradient gates are not")

    @property
    def learns_gates(self) -> bool:
        """Whether there are gates with a log_alpha."""
        return self.controller is not None and self.controller.learns_gates

    def init(self, key: Key[Array, ""], coords: Float[Array, "N d"]) -> Theta:
        """theta0, phi0 and the inner learning rates; the field's parameters depend on `key` alone, not the budget."""
        field_key, lr_key, gate_key = jax.random.split(key, 3)
        shape = self.field.code_shape
        low, high = self.inner_lr_range
        theta = {
            "field": self.field.init(field_key, coords, jnp.zeros(shape))["params"],
            "inner_lr": {"code": jax.random.uniform(lr_key, shape, minval=low, maxval=high)},
        }
        if self.learns_gates:
            gates = self.form.gate_shape(self.field)
            theta["log_alpha"] = initial_log_alpha(gate_key, gates, self.open_probability, self.log_alpha_spread)
            if self.adapt_gates:
                theta["inner_lr"]["log_alpha"] = jnp.full(gates, self.gate_inner_lr, jnp.float32)
        return theta

    def init_gates(self) -> GateState | None:
        """All gates open; None for a method without gates."""
        return None if self.controller is None else self.controller.start(self.form.gate_shape(self.field))

    def render(self, theta: Theta, code: Float[Array, "*code"], coords: Float[Array, "N d"]) -> Float[Array, "N c"]:
        """Values of the field with `code` (already gated) at `coords`."""
        return self.field.apply({"params": theta["field"]}, coords, code)

    def fit(
        self,
        theta: Theta,
        gates: GateState | None,
        key: Key[Array, ""],
        coords: Float[Array, "N d"],
        targets: Float[Array, "N c"],
        *,
        steps: int | None = None,
    ) -> tuple[Float[Array, "*code"], Float[Array, ""], Float[Array, " K"]]:
        """Fits one signal's code.

        The gate sample is drawn once and held through the inner loop and the outer loss (the single Monte-Carlo
        sample of eq. 7), afresh for every signal and outer step.

        Args:
          theta: what the outer loop has learned.
          gates: state of the gates; None for a method without.
          key: randomness of the gate sample; unused once the gates are frozen.
          coords: shared by all signals.
          targets: the signal.
          steps: K, `inner_steps` where None.

        Returns:
          The gated code, the expected number of open gates, the loss before each inner step.
        """
        inner_lr = theta["inner_lr"] if self.meta_sgd else jax.lax.stop_gradient(theta["inner_lr"])
        start = jax.tree.map(jnp.zeros_like, inner_lr)

        def phi(adapted):
            return theta["log_alpha"] + adapted["log_alpha"] if self.adapt_gates else theta["log_alpha"]

        def gate(adapted, *, last):
            if not self.learns_gates:
                return gates.mask.astype(jnp.float32)
            log_alpha = phi(adapted)
            sample = self.hard_concrete.sample(key, log_alpha)
            if not self.adapt_gates:
                return jnp.where(gates.frozen, gates.mask.astype(sample.dtype), sample)
            # Within the inner loop a gate that never closes fully: a closed one has no gradient that could open it.
            # After it the signal's own top-n pattern, with the gradient of the open gate passed straight through.
            soft = jax.nn.sigmoid(log_alpha)
            if last:
                top = top_n_mask(log_alpha, gates.budget).astype(soft.dtype)
                soft = soft + jax.lax.stop_gradient(top - soft)
            return jnp.where(gates.frozen, soft, sample)

        def code(adapted, *, last=False):
            if gates is None:
                return adapted["code"]
            return self.form.code(self.field, theta["field"], adapted["code"], gate(adapted, last=last))

        def loss(adapted):
            return metrics.mse(self.render(theta, code(adapted), coords), targets)

        if gates is not None and not self.adapt_gates:
            # z does not change within the inner loop.
            inner_lr = {"code": self.form.inner_lr(inner_lr["code"], gate(start, last=False))}
        adapted, losses = adapt(
            loss,
            start,
            inner_lr,
            steps=self.inner_steps if steps is None else steps,
            first_order=self.first_order,
            remat=self.remat,
        )
        expected = self.hard_concrete.expected_l0(phi(adapted)) if self.learns_gates else jnp.zeros(())
        return code(adapted, last=True), expected, losses


class TrainState(flax.struct.PyTreeNode):
    """Everything that a resumed run needs; batches and keys follow from `step` and the seed."""

    step: Int[Array, ""]
    theta: Theta
    gates: GateState | None
    opt_state: PyTree


def init_state(
    learner: MetaLearner, optimizer: optax.GradientTransformation, seed: int, coords: Float[Array, "N d"]
) -> TrainState:
    """The state before the first outer step."""
    theta = learner.init(jax.random.key(seed), coords)
    return TrainState(
        step=jnp.zeros((), jnp.int32), theta=theta, gates=learner.init_gates(), opt_state=optimizer.init(theta)
    )


def _in_chunks(tree: PyTree, size: int) -> PyTree:
    """Leading axis B split as [B / size, size]."""
    return jax.tree.map(lambda a: a.reshape(a.shape[0] // size, size, *a.shape[1:]), tree)


def _chunk_loss(
    theta: Theta,
    learner: MetaLearner,
    gates: GateState | None,
    coords: Float[Array, "N d"],
    keys: Key[Array, " b"],
    targets: Float[Array, "b N c"],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Eq. 8 over one chunk of signals, and what is logged of it."""

    def outer_loss(key, target):
        code, expected_l0, _ = learner.fit(theta, gates, key, coords, target)
        return metrics.mse(learner.render(theta, code, coords), target), expected_l0

    errors, expected_l0 = jax.vmap(outer_loss)(keys, targets)
    loss = jnp.mean(errors)
    if gates is not None:
        # Frozen gates no longer depend on log_alpha; the penalty would only move it idly.
        loss += jnp.where(gates.frozen, 0, jnp.exp(gates.log_lambda)) * jnp.mean(expected_l0)
    return loss, {
        "mse": jnp.mean(errors),
        "psnr": jnp.mean(metrics.psnr(errors)),
        "expected_l0": jnp.mean(expected_l0),
    }


def meta_gradient(
    learner: MetaLearner,
    theta: Theta,
    gates: GateState | None,
    keys: Key[Array, " B"],
    coords: Float[Array, "N d"],
    targets: Float[Array, "B N c"],
    *,
    mesh: Mesh,
    chunk_size: int,
) -> tuple[dict[str, Float[Array, ""]], Theta]:
    """Mean over B signals of the logged values and of the gradient of eq. 8 with respect to theta.

    Signals are divided over the devices of `mesh`; each device adds up gradients one chunk at a time, so that memory
    is that of `chunk_size` signals whatever B is. B must divide by devices x chunk_size.
    """

    def on_device(theta, gates, coords, keys, targets):
        def add_chunk(total, chunk):
            (_, logged), gradient = jax.value_and_grad(_chunk_loss, has_aux=True)(theta, learner, gates, coords, *chunk)
            return jax.tree.map(jnp.add, total, (logged, gradient)), None

        logged = {name: jnp.zeros(()) for name in ("mse", "psnr", "expected_l0")}
        chunks = _in_chunks((keys, targets), chunk_size)
        total, _ = jax.lax.scan(add_chunk, (logged, jax.tree.map(jnp.zeros_like, theta)), chunks)
        # One reduction of one vector: XLA's CPU threads wait inside a reduction, and two of them at once, with a thread
        # a core, leave none to the other device (seen: a run that hung).
        flat, unravel = ravel_pytree(total)
        return unravel(jax.lax.pmean(flat, SIGNALS) / (targets.shape[0] // chunk_size))

    shared, split = PartitionSpec(), PartitionSpec(SIGNALS)
    return jax.shard_map(
        on_device, mesh=mesh, in_specs=(shared, shared, shared, split, split), out_specs=shared, check_vma=False
    )(theta, gates, coords, keys, targets)


def train_step(
    state: TrainState,
    coords: Float[Array, "N d"],
    targets: Float[Array, "B N c"],
    seed: int | Int[Array, ""],
    *,
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    outer_steps: int,
    mesh: Mesh,
    chunk_size: int,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One outer step: eq. 8's gradient, the optimiser, the budget controller. To be jitted whole.

    Returns:
      The next state; mse, psnr (mean over signals, after adaptation), expected_l0, open_gates, lambda, gradient_norm.
    """
    step_key = jax.random.fold_in(jax.random.key(seed), state.step)
    keys = jax.random.split(step_key, targets.shape[0])
    logged, gradient = meta_gradient(
        learner, state.theta, state.gates, keys, coords, targets, mesh=mesh, chunk_size=chunk_size
    )
    logged["gradient_norm"] = optax.tree.norm(gradient)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.theta)
    theta = optax.apply_updates(state.theta, updates)
    gates = state.gates
    if gates is not None:
        gates, logged["open_gates"] = _next_gates(learner, theta, gates, step_key, state.step, outer_steps)
        logged["lambda"] = jnp.exp(gates.log_lambda)
    return TrainState(step=state.step + 1, theta=theta, gates=gates, opt_state=opt_state), logged


def _next_gates(
    learner: MetaLearner,
    theta: Theta,
    gates: GateState,
    key: Key[Array, ""],
    step: Int[Array, ""],
    outer_steps: int,
) -> tuple[GateState, Float[Array, ""]]:
    """The gates of the next step, and how many are open at test time now."""
    open_gates = jnp.sum(gates.mask, dtype=jnp.float32)
    if not learner.learns_gates:
        magnitude = jnp.abs(learner.field.flat(theta["field"]))
        return learner.controller.next(gates, magnitude, learner.field.is_weight, key, step), open_gates
    log_alpha = theta["log_alpha"]
    open_gates = jnp.where(gates.frozen, open_gates, learner.hard_concrete.test_l0(log_alpha))
    return learner.controller.next(gates, log_alpha, open_gates, step, outer_steps), open_gates


def encode(
    learner: MetaLearner,
    theta: Theta,
    gates: GateState | None,
    coords: Float[Array, "N d"],
    targets: Float[Array, "B N c"],
    *,
    mesh: Mesh,
    chunk_size: int,
    steps: int | None = None,
) -> Float[Array, "B *code"]:
    """The gated codes of B signals, fitted with frozen gates: what a codec stores. To be jitted.

    B must divide by the devices of `mesh` and by `chunk_size` on each.
    """
    if gates is not None:
        gates = gates.replace(frozen=jnp.ones((), bool))

    def fit(shared, target):
        theta, gates, coords = shared
        return learner.fit(theta, gates, jax.random.key(0), coords, target, steps=steps)[0]

    return map_signals(fit, (theta, gates, coords), targets, mesh=mesh, chunk_size=chunk_size)


def decode(
    learner: MetaLearner,
    theta: Theta,
    coords: Float[Array, "N d"],
    codes: Float[Array, "B *code"],
    *,
    mesh: Mesh,
    chunk_size: int,
) -> Float[Array, "B N c"]:
    """The values of B signals from their gated codes. To be jitted."""

    def render(shared, code):
        theta, coords = shared
        return learner.render(theta, code, coords)

    return map_signals(render, (theta, coords), codes, mesh=mesh, chunk_size=chunk_size)


def map_signals(
    fn: Callable, shared: PyTree, signals: Float[Array, "B *in"], *, mesh: Mesh, chunk_size: int
) -> Float[Array, "B *out"]:
    """`fn(shared, signal)` of each signal: over the devices of `mesh`, a chunk at a time on each."""

    def on_device(shared, signals):
        results = jax.lax.map(lambda chunk: jax.vmap(fn, (None, 0))(shared, chunk), _in_chunks(signals, chunk_size))
        return results.reshape(signals.shape[0], *results.shape[2:])

    in_specs = (PartitionSpec(), PartitionSpec(SIGNALS))
    return jax.shard_map(on_device, mesh=mesh, in_specs=in_specs, out_specs=PartitionSpec(SIGNALS), check_vma=False)(
        shared, signals
    )
