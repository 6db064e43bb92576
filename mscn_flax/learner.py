"""A field, what gates it, and how its code is fitted to one signal (the inner part of eq. 8).

What the outer loop learns is a dict `theta`: the field's parameters (theta0 of the paper), the MetaSGD learning rates,
and, for a method with gates, their log_alpha (phi0). What the inner loop adapts is a dict too: the signal's code (delta
theta) and, where `adapt_gates` is set, an update of log_alpha (delta phi).
"""

import dataclasses
import math

import flax.linen as nn
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from mscn_flax import metrics
from mscn_flax.adapt import adapt
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.gates import GateState, HardConcrete, initial_log_alpha, top_n_mask
from mscn_flax.prune import PruningRounds
from mscn_flax.sparsity import CodeGates, Form, GradientGates

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
      truncate: inner steps, counted from the last, that the outer gradient flows through; None for all.
      remat: memory constant in `inner_steps`; see `adapt`.
      tile: points of a signal, or rays, that are worked on at a time; None for all. See `tiles.tile_size`.
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
    truncate: int | None = None
    remat: bool = True
    tile: int | None = None
    adapt_gates: bool = False
    gate_inner_lr: float = 1e4
    open_probability: float = 0.9
    log_alpha_spread: float = 0.01

    def __post_init__(self):
        if self.learns_gates:
            gates = math.prod(self.form.gate_shape(self.field))
            if not 1 <= self.controller.budget <= gates:
                raise ValueError(f"a budget of {self.controller.budget} needs as many gates, the field has {gates}")
        for name in ("tile", "truncate"):
            if (value := getattr(self, name)) is not None and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"MetaLearner.{name} must be at least 1 and whole, got {value!r}")
        if self.inner_steps < 1:
            raise ValueError(f"MetaLearner.inner_steps must be at least 1, got {self.inner_steps}")
        if self.adapt_gates and isinstance(self.form, GradientGates):
            raise ValueError("MetaLearner.adapt_gates needs gates that the inner loss sees, gradient gates are not")

    @property
    def learns_gates(self) -> bool:
        """Whether there are gates with a log_alpha."""
        return self.controller is not None and self.controller.learns_gates

    @property
    def shares_pattern(self) -> bool:
        """Whether the codes of all signals have the same non-zero entries."""
        return not self.adapt_gates

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
        coords: Float[Array, "*K N d"],
        targets: Float[Array, "*K N c"],
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
          coords: of the signal's points; with a leading axis those of each inner step, of which there may be more.
          targets: the signal there.
          steps: K, `inner_steps` where None.

        Returns:
          The gated code, the expected number of open gates, the loss before each inner step.
        """
        inner_lr = theta["inner_lr"] if self.meta_sgd else jax.lax.stop_gradient(theta["inner_lr"])
        start = jax.tree.map(jnp.zeros_like, inner_lr)

        def phi(theta, adapted):
            return theta["log_alpha"] + adapted["log_alpha"] if self.adapt_gates else theta["log_alpha"]

        def gate(theta, gates, key, adapted, *, last=False):
            if not self.learns_gates:
                return gates.mask.astype(jnp.float32)
            log_alpha = phi(theta, adapted)
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

        def code(theta, gates, key, adapted, *, last=False):
            if gates is None:
                return adapted["code"]
            z = gate(theta, gates, key, adapted, last=last)
            return self.form.code(self.field, theta["field"], adapted["code"], z)

        def loss(adapted, theta, constant, seen):
            (gates, key), (points, values) = constant, seen
            return metrics.mse(self.render(theta, code(theta, gates, key, adapted), points), values)

        if gates is not None and not self.adapt_gates:
            # z does not change within the inner loop.
            inner_lr = {"code": self.form.inner_lr(inner_lr["code"], gate(theta, gates, key, start))}
        steps = self.inner_steps if steps is None else steps
        fresh = targets.ndim == 3

        def steps_on(start, theta, inner_lr, first, last):
            points = (coords[first:last], targets[first:last]) if fresh else (coords, targets)
            return adapt(
                loss,
                start,
                inner_lr,
                theta,
                (gates, key),
                points,
                steps=last - first,
                first_order=self.first_order,
                remat=self.remat,
                fresh=fresh,
                tile=self.tile,
            )

        cut, before = steps - min(self.truncate or steps, steps), []
        if cut:
            start, before = jax.lax.stop_gradient(steps_on(start, *jax.lax.stop_gradient((theta, inner_lr)), 0, cut))
        adapted, losses = steps_on(start, theta, inner_lr, cut, steps)
        losses = jnp.concatenate([before, losses]) if cut else losses
        expected = self.hard_concrete.expected_l0(phi(theta, adapted)) if self.learns_gates else jnp.zeros(())
        return code(theta, gates, key, adapted, last=True), expected, losses
