"""The outer loop (eq. 3 and 8): its loss, its gradient over the signals of a batch, one step."""

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from mscn_flax import memory, metrics
from mscn_flax.gates import GateState
from mscn_flax.learner import MetaLearner, Theta
from mscn_flax.over_signals import SIGNALS, in_chunks, layout, over_signals
from mscn_flax.tiles import mean_loss, tile_size
from mscn_flax.train_state import TrainState


def init_state(
    learner: MetaLearner, optimizer: optax.GradientTransformation, seed: int, coords: Float[Array, "N d"]
) -> TrainState:
    """The state before the first outer step, a function of the random seed; `coords` give the field's input shape."""
    theta = learner.init(jax.random.key(seed), coords)
    return TrainState(
        step=jnp.zeros((), jnp.int32), theta=theta, gates=learner.init_gates(), opt_state=optimizer.init(theta)
    )


def linearises(learner: MetaLearner, points: int, signals: int) -> bool:
    """Whether the linearisations of the inner steps are kept of a chunk of so many signals; see `adapt`."""
    if learner.linearise is not None:
        return learner.linearise
    # There is nothing to keep then, or everything is kept already, or memory is what tiles are for.
    if learner.first_order or not learner.remat or tile_size(learner.tile, points) < points:
        return False
    return memory.linearises(learner.field, points, signals, learner.steps_in_training)


def chunk_loss(
    theta: Theta,
    learner: MetaLearner,
    gates: GateState | None,
    coords: Float[Array, "..."],
    keys: Key[Array, " b"],
    targets: Float[Array, "b *K N c"],
    counts: Float[Array, " b"] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss of eq. 8 as a mean over b signals, which are worked on together, and its parts for the log.

    Coordinates and targets have the shapes of `meta_gradient`; `counts` is 0 of a signal that shall not count and 1 of
    the others, None where all do. The mean is over b either way.
    """
    steps, linearise = learner.steps_in_training, linearises(learner, targets.shape[-2], len(keys))

    def outer_loss(key, points, target):
        code, expected_l0, _ = learner.fit(theta, gates, key, points, target, steps=steps, linearise=linearise)
        if target.ndim == 3:  # Each inner step has points of its own, and so has the outer loss.
            points, target = points[-1], target[-1]

        def error(fitted, seen):
            field, code = fitted
            return metrics.mse(learner.render({"field": field}, code, seen[0]), seen[1])

        field = learner.gated(theta, gates, key)["field"]
        return mean_loss(error, (field, code), (points, target), learner.tile), expected_l0

    def mean(values):
        return jnp.mean(values if counts is None else counts * values)

    errors, expected_l0 = over_signals(outer_loss, (0, layout(coords, targets)[1], 0))(keys, coords, targets)
    loss = mean(errors)
    if gates is not None:
        loss += gates.penalty_weight * mean(expected_l0)
    return loss, {"mse": mean(errors), "psnr": mean(metrics.psnr(errors)), "expected_l0": mean(expected_l0)}


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
    """The logged values and the gradient of eq. 8 with respect to theta, as means over B signals.

    Coordinates are [*K, N, d], shared by all signals, or [B, *K, N, d], one set per signal. If there is an axis K, its
    entries are the points of the inner steps, and the last entry those of the outer loss.

    The signals are divided over the devices of `mesh`; each device adds up the gradients of one chunk after another, so
    that memory depends on `chunk_size` and not on B. Where B is no multiple of devices x chunk_size, the last signal
    fills the places that are left, and does not count there.
    """
    shared, split, where = PartitionSpec(), PartitionSpec(SIGNALS), layout(coords, targets)[0]
    signals, each = len(targets), mesh.size * chunk_size
    places = -(-signals // each) * each
    counts = None
    if places > signals:
        at = jnp.minimum(jnp.arange(places), signals - 1)
        keys, targets = keys[at], targets[at]
        coords = coords if where == shared else coords[at]
        counts = (jnp.arange(places) < signals).astype(targets.dtype)

    def on_device(theta, gates, coords, keys, targets, counts):
        def add_chunk(total, chunk):
            keys, points, targets, counts = chunk
            points = coords if points is None else points
            (_, logged), gradient = jax.value_and_grad(chunk_loss, has_aux=True)(
                theta, learner, gates, points, keys, targets, counts
            )
            return jax.tree.map(jnp.add, total, (logged, gradient)), None

        logged = {name: jnp.zeros(()) for name in ("mse", "psnr", "expected_l0")}
        chunks = in_chunks((keys, None if where == shared else coords, targets, counts), chunk_size)
        total, _ = jax.lax.scan(add_chunk, (logged, jax.tree.map(jnp.zeros_like, theta)), chunks)
        # One reduction of one vector: XLA's CPU threads wait inside a reduction, and two reductions at once, with one
        # thread per core, leave no thread to the other device (seen: a run that hung).
        flat, unravel = ravel_pytree(total)
        # As many chunks as hold a device's share of the signals that count.
        return unravel(jax.lax.pmean(flat, SIGNALS) / (signals / each))

    specs = (shared, shared, where, split, split, split)
    return jax.shard_map(on_device, mesh=mesh, in_specs=specs, out_specs=shared, check_vma=False)(
        theta, gates, coords, keys, targets, counts
    )


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
    """One outer step: the gradient of eq. 8, the outer optimiser, the controller of the gates. To be jitted as a whole.

    Coordinates and targets have the shapes of `meta_gradient`; `seed` is the random seed of the run.

    Returns:
      The next state, and for the log: mse and psnr (mean over signals, after adaptation), expected_l0, gradient_norm,
      and what the controller logs of its gates.
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
        gates, of_gates = learner.controller.next(gates, theta, learner.field, step_key, state.step, outer_steps)
        logged |= of_gates
    return TrainState(step=state.step + 1, theta=theta, gates=gates, opt_state=opt_state), logged
