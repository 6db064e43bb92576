"""The outer loop (eq. 3 and 8): the only vmap over signals, the train state, one outer step."""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PyTree

from mscn_flax import metrics
from mscn_flax.gates import GateState
from mscn_flax.learner import MetaLearner, Theta
from mscn_flax.tiles import mean_loss

SIGNALS = "signals"
"""Name of the mesh axis along which signals are divided."""


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


def _share(coords: Float[Array, "..."], targets: Float[Array, "B ..."]) -> tuple[PartitionSpec, int | None]:
    """How coordinates lie on the mesh, and their axis of signals: none where all signals have the same points."""
    return (PartitionSpec(), None) if coords.ndim < targets.ndim else (PartitionSpec(SIGNALS), 0)


def _chunk_loss(
    theta: Theta,
    learner: MetaLearner,
    gates: GateState | None,
    coords: Float[Array, "..."],
    keys: Key[Array, " b"],
    targets: Float[Array, "b *K N c"],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Eq. 8 over one chunk of signals, and what is logged of it."""

    def outer_loss(key, points, target):
        code, expected_l0, _ = learner.fit(theta, gates, key, points, target)
        if target.ndim == 3:  # Points of their own for each inner step, and for the outer loss.
            points, target = points[-1], target[-1]

        def error(fitted, seen):
            field, code = fitted
            return metrics.mse(learner.render({"field": field}, code, seen[0]), seen[1])

        return mean_loss(error, (theta["field"], code), (points, target), learner.tile), expected_l0

    errors, expected_l0 = jax.vmap(outer_loss, (0, _share(coords, targets)[1], 0))(keys, coords, targets)
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
    coords: Float[Array, "..."],
    targets: Float[Array, "B *K N c"],
    *,
    mesh: Mesh,
    chunk_size: int,
) -> tuple[dict[str, Float[Array, ""]], Theta]:
    """Mean over B signals of the logged values and of the gradient of eq. 8 with respect to theta.

    Coordinates are [*K, N, d], shared by all signals, or [B, *K, N, d]. Where there is an axis K, its entries are the
    points of the inner steps, and the last those of the outer loss.

    Signals are divided over the devices of `mesh`; each device adds up gradients one chunk at a time, so that memory
    is that of `chunk_size` signals whatever B is. B must divide by devices x chunk_size.
    """

    def on_device(theta, gates, coords, keys, targets):
        def add_chunk(total, chunk):
            keys, points, targets = chunk
            points = coords if points is None else points
            (_, logged), gradient = jax.value_and_grad(_chunk_loss, has_aux=True)(
                theta, learner, gates, points, keys, targets
            )
            return jax.tree.map(jnp.add, total, (logged, gradient)), None

        logged = {name: jnp.zeros(()) for name in ("mse", "psnr", "expected_l0")}
        chunks = _in_chunks((keys, None if where == shared else coords, targets), chunk_size)
        total, _ = jax.lax.scan(add_chunk, (logged, jax.tree.map(jnp.zeros_like, theta)), chunks)
        # One reduction of one vector: XLA's CPU threads wait inside a reduction, and two of them at once, with a thread
        # a core, leave none to the other device (seen: a run that hung).
        flat, unravel = ravel_pytree(total)
        return unravel(jax.lax.pmean(flat, SIGNALS) / (targets.shape[0] // chunk_size))

    shared, split, where = PartitionSpec(), PartitionSpec(SIGNALS), _share(coords, targets)[0]
    return jax.shard_map(
        on_device, mesh=mesh, in_specs=(shared, shared, where, split, split), out_specs=shared, check_vma=False
    )(theta, gates, coords, keys, targets)


def train_step(
    state: TrainState,
    coords: Float[Array, "..."],
    targets: Float[Array, "B *K N c"],
    seed: int | Int[Array, ""],
    *,
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    outer_steps: int,
    mesh: Mesh,
    chunk_size: int,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One outer step: eq. 8's gradient, the optimiser, the budget controller. To be jitted whole.

    Coordinates and targets as `meta_gradient` has them.

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
    coords: Float[Array, "..."],
    targets: Float[Array, "B *K N c"],
    *,
    mesh: Mesh,
    chunk_size: int,
    steps: int | None = None,
) -> Float[Array, "B *code"]:
    """The gated codes of B signals, fitted with frozen gates: what a codec stores. To be jitted.

    Coordinates are [*K, N, d], shared by all signals, or [B, *K, N, d]; K as in `MetaLearner.fit`. B must divide by the
    devices of `mesh` and by `chunk_size` on each.
    """
    if gates is not None:
        gates = gates.replace(frozen=jnp.ones((), bool))

    def fit(shared, signal):
        theta, gates, coords = shared
        points, target = signal if coords is None else (coords, signal)
        return learner.fit(theta, gates, jax.random.key(0), points, target, steps=steps)[0]

    shared, each = (None, (coords, targets)) if _share(coords, targets)[1] == 0 else (coords, targets)
    return map_signals(fit, (theta, gates, shared), each, mesh=mesh, chunk_size=chunk_size)


def decode(
    learner: MetaLearner,
    theta: Theta,
    coords: Float[Array, "*B N d"],
    codes: Float[Array, "B *code"],
    *,
    mesh: Mesh,
    chunk_size: int,
) -> Float[Array, "B N c"]:
    """The values of B signals from their gated codes, at points of all or of each. To be jitted."""

    def render(shared, signal):
        theta, coords = shared
        points, code = signal if coords is None else (coords, signal)
        return learner.render(theta, code, points)

    shared, each = (None, (coords, codes)) if coords.ndim == 3 else (coords, codes)
    return map_signals(render, (theta, shared), each, mesh=mesh, chunk_size=chunk_size)


def map_signals(
    fn: Callable, shared: PyTree, signals: PyTree[Float[Array, "B ..."]], *, mesh: Mesh, chunk_size: int
) -> Float[Array, "B *out"]:
    """`fn(shared, signal)` of each signal: over the devices of `mesh`, a chunk at a time on each."""

    def on_device(shared, signals):
        results = jax.lax.map(lambda chunk: jax.vmap(fn, (None, 0))(shared, chunk), _in_chunks(signals, chunk_size))
        return results.reshape(-1, *results.shape[2:])

    in_specs = (PartitionSpec(), PartitionSpec(SIGNALS))
    return jax.shard_map(on_device, mesh=mesh, in_specs=in_specs, out_specs=PartitionSpec(SIGNALS), check_vma=False)(
        shared, signals
    )
