import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer_steps import encode, mesh, outer_steps

from mscn_flax import meta, metrics, over_signals, train
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren

COORDS = jnp.asarray(grid_coordinates((8, 8)))
TARGETS = jax.random.uniform(jax.random.key(5), (8, 64, 3))
KEYS = jax.random.split(jax.random.key(6), 8)
SIREN = Siren(depth=3, width=16)


def mscn(budget=10, **kwargs):
    return MetaLearner(field=SIREN, controller=BudgetController(budget=budget), **kwargs)


def functa(**kwargs):
    return MetaLearner(field=LatentModulatedSiren(siren=SIREN, latent_dim=10), **kwargs)


def plain_gradient(learner, theta, gates, keys, coords, targets):
    """Gradient of eq. 8 by Python loops over signals and inner steps."""

    def signal_loss(theta, key, target):
        z = learner.controller.hard_concrete.sample(key, theta["log_alpha"]) if gates is not None else 1.0

        def loss(code):
            return metrics.mse(learner.render(theta, z * code, coords), target)

        code = jnp.zeros(learner.field.code_shape)
        for _ in range(learner.inner_steps):
            code = code - theta["inner_lr"]["code"] * jax.grad(loss)(code)
        penalty = 0.0
        if gates is not None:
            penalty = jnp.exp(gates.log_lambda) * learner.controller.hard_concrete.expected_l0(theta["log_alpha"])
        return loss(code) + penalty

    gradient = jax.jit(jax.grad(signal_loss))
    total = jax.tree.map(jnp.zeros_like, theta)
    for key, target in zip(keys, targets, strict=True):
        total = jax.tree.map(jnp.add, total, gradient(theta, key, target))
    return jax.tree.map(lambda leaf: leaf / len(targets), total)


@pytest.mark.parametrize("make", [mscn, functa])
def test_vmap_chunks_and_devices_equal_the_loop(make):
    learner = make()
    theta, gates = learner.init(jax.random.key(0), COORDS), learner.init_gates()
    arguments = (theta, gates, KEYS[:4], COORDS, TARGETS[:4])
    expected = plain_gradient(learner, *arguments)
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected))
    for devices, chunk_size in ((1, 4), (1, 1), (2, 2)):
        ours = functools.partial(meta.meta_gradient, learner, mesh=mesh(devices), chunk_size=chunk_size)
        logged, gradient = jax.jit(ours)(*arguments)
        assert np.isfinite(logged["mse"])
        for mine, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-5 * scale)


@pytest.mark.parametrize("make", [mscn, functa])
def test_meta_gradient_agrees_with_finite_differences(make):
    learner = make(inner_lr_range=(0.5, 1.0))
    theta, gates = learner.init(jax.random.key(0), COORDS), learner.init_gates()
    with jax.enable_x64(True):

        def double(a):
            return a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a

        theta, gates, coords, targets = jax.tree.map(double, (theta, gates, COORDS, TARGETS[:2]))

        @jax.jit
        def loss(theta):
            return meta.chunk_loss(theta, learner, gates, coords, KEYS[:2], targets)[0]

        gradient = jax.jit(jax.grad(loss))(theta)
        for name in theta:
            # Along a random direction within each group of parameters.
            leaves, structure = jax.tree.flatten(theta[name])
            noise = [
                jax.random.normal(jax.random.key(i), leaf.shape, jnp.float64) * jnp.std(leaf)
                for i, leaf in enumerate(leaves)
            ]
            direction = jax.tree.unflatten(structure, noise)
            h = 1e-5
            plus, minus = (
                loss({**theta, name: jax.tree.map(lambda a, d, s=s, h=h: a + s * h * d, theta[name], direction)})
                for s in (1, -1)
            )
            product = jax.tree.map(lambda g, d: jnp.sum(g * d), gradient[name], direction)
            expected = float(sum(jax.tree.leaves(product)))
            assert float((plus - minus) / (2 * h)) == pytest.approx(expected, rel=1e-4, abs=1e-10)


@pytest.mark.parametrize(("signals", "chunk_size", "own_points"), [(3, 1, False), (3, 2, True), (5, 3, False)])
def test_signals_that_fill_places_do_not_count(signals, chunk_size, own_points):
    learner = mscn()
    theta, gates = learner.init(jax.random.key(0), COORDS), learner.init_gates()
    coords = jnp.stack([COORDS + i / 50 for i in range(signals)]) if own_points else COORDS
    arguments = theta, gates, KEYS[:signals], coords, TARGETS[:signals]

    def of(devices, chunk_size):
        step = functools.partial(meta.meta_gradient, learner, mesh=mesh(devices), chunk_size=chunk_size)
        return jax.tree.leaves(jax.jit(step)(*arguments))

    for uneven, alone in zip(of(2, chunk_size), of(1, 1), strict=True):
        np.testing.assert_allclose(uneven, alone, rtol=2e-4, atol=1e-7)


def test_a_batch_has_as_few_devices_as_are_done_with_it_at_once(monkeypatch):
    (device, _), sizes = jax.devices(), {}
    for count in (1, 2, 4, 8):
        monkeypatch.setattr(jax, "devices", lambda count=count: [device] * count)
        sizes[count] = [train.devices_for(batch).size for batch in (1, 2, 3, 6, 16)]
    assert sizes == {1: [1, 1, 1, 1, 1], 2: [1, 2, 2, 2, 2], 4: [1, 2, 3, 3, 4], 8: [1, 2, 3, 6, 8]}


def test_closed_gates_equal_the_base_network():
    learner = mscn()
    theta, gates = learner.init(jax.random.key(0), COORDS), learner.init_gates()
    closed = gates.replace(mask=jnp.zeros_like(gates.mask), frozen=jnp.ones((), bool))
    code, _, losses = learner.fit(theta, closed, jax.random.key(0), COORDS, TARGETS[0])
    assert not np.any(code)
    base = SIREN.apply({"params": theta["field"]}, COORDS, jnp.zeros(SIREN.code_shape))
    np.testing.assert_array_equal(learner.render(theta, code, COORDS), base)
    np.testing.assert_array_equal(losses, losses[0])
    gradient = jax.grad(
        lambda theta: meta.chunk_loss(theta, learner, closed, COORDS, KEYS, TARGETS)[0], allow_int=True
    )(theta)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def trained(learner, steps=60):
    optimizer = OuterOptimizer(learning_rate=1e-3, gate_learning_rate=0.3, clip_norm=0.1)
    states, logs = zip(*outer_steps(learner, optimizer, COORDS, TARGETS, planned=steps, chunk_size=4), strict=True)
    return states[-1], logs


@pytest.mark.parametrize("budget", [1, 7, 20])
def test_budget_is_exact_and_the_pattern_shared(budget):
    learner = mscn(budget)
    state, logs = trained(learner)
    assert int(jnp.sum(state.gates.mask)) == budget
    codes = encode(learner, state.theta, state.gates, COORDS, TARGETS, chunk_size=4)
    patterns = np.asarray(codes) != 0
    assert np.all(patterns == np.asarray(state.gates.mask))
    assert logs[-1]["open_gates"] == budget
    assert logs[0]["open_gates"] > budget


@pytest.mark.parametrize("adapt_gates", [False, True])
def test_what_is_compiled_does_not_depend_on_the_budget(adapt_gates):
    optimizer, programs = OuterOptimizer().build(10), set()
    for learner in (mscn(4, adapt_gates=adapt_gates), mscn(20, adapt_gates=adapt_gates)):
        state = meta.init_state(learner, optimizer, 0, COORDS)
        assert state.gates.budget == learner.controller.budget
        options = {"learner": learner, "optimizer": optimizer, "outer_steps": 10, "mesh": mesh(), "chunk_size": 4}
        step = functools.partial(meta.train_step, **options)
        encoded = functools.partial(over_signals.encode, learner, mesh=mesh(), chunk_size=4)
        traced = (
            jax.make_jaxpr(step)(state, COORDS, TARGETS, 0),
            jax.make_jaxpr(encoded)(state.theta, state.gates, COORDS, TARGETS),
        )
        programs.add(re.sub("0x[0-9a-f]+", "", str(traced)))  # Without the addresses of functions.
        assert learner.for_any_budget() == mscn(7, adapt_gates=adapt_gates).for_any_budget()
    assert len(programs) == 1


def test_adapted_gates_give_each_signal_its_own_exact_pattern():
    # The signals here are noise, whose gradients are far below those of images.
    learner = mscn(12, adapt_gates=True, gate_inner_lr=1e6)
    state, _ = trained(learner)
    codes = encode(learner, state.theta, state.gates, COORDS, TARGETS, chunk_size=4)
    patterns = (np.asarray(codes) != 0).reshape(8, -1)
    np.testing.assert_array_equal(patterns.sum(1), 12)
    assert len(np.unique(patterns, axis=0)) > 1


def test_training_reduces_the_error():
    for learner in (mscn(), functa()):
        _, logs = trained(learner, steps=40)
        assert logs[-1]["mse"] < 0.8 * logs[0]["mse"]


def test_initialisation_does_not_depend_on_the_budget():
    one, other = (mscn(budget).init(jax.random.key(3), COORDS) for budget in (4, 20))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), one, other))


def test_decode_is_render_of_each_code():
    learner = functa()
    theta = learner.init(jax.random.key(0), COORDS)
    codes = encode(learner, theta, None, COORDS, TARGETS)
    decode = jax.jit(functools.partial(over_signals.decode, learner, mesh=mesh(2), chunk_size=4))
    values = decode(theta, COORDS, codes)
    for code, value in zip(codes, values, strict=True):
        np.testing.assert_allclose(learner.render(theta, code, COORDS), value, atol=1e-5)


@pytest.mark.parametrize(("wrong", "says"), [({"budget": 33}, "has 32"), ({"inner_steps": 0}, "inner_steps")])
def test_wrong_values_are_named(wrong, says):
    with pytest.raises(ValueError, match=says):
        mscn(**wrong)


def dense(**kwargs):
    return MetaLearner(field=DeltaSiren(SIREN), **kwargs)


@pytest.mark.parametrize(
    ("make", "options"),
    [(mscn, {}), (mscn, {"remat": False}), (functa, {}), (functa, {"first_order": True}), (dense, {"remat": False})],
)
def test_tiles_of_points_change_rounding_alone(make, options):
    whole, tiled = make(**options), make(tile=20, **options)  # Tiles of 16 points.
    theta, gates = whole.init(jax.random.key(0), COORDS), whole.init_gates()
    arguments = (theta, gates, KEYS[:4], COORDS, TARGETS[:4])
    (logged, expected), (_, found) = (
        jax.jit(functools.partial(meta.meta_gradient, learner, mesh=mesh(), chunk_size=2))(*arguments)
        for learner in (whole, tiled)
    )
    assert np.isfinite(logged["mse"])
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5 * float(np.max(np.abs(theirs))))
    codes = [encode(learner, theta, gates, COORDS, TARGETS[:4], devices=1) for learner in (whole, tiled)]
    np.testing.assert_allclose(*codes, rtol=1e-4, atol=1e-6)


def test_the_meta_gradient_is_the_same_with_linearisations_kept():
    kept, recomputed = mscn(linearise=True), mscn(linearise=False)
    arguments = (kept.init(jax.random.key(0), COORDS), kept.init_gates(), KEYS[:2], COORDS, TARGETS[:2])
    found, expected = (
        jax.jit(functools.partial(meta.meta_gradient, learner, mesh=mesh(), chunk_size=1))(*arguments)[1]
        for learner in (kept, recomputed)
    )
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5 * float(np.max(np.abs(theirs))))


@pytest.mark.parametrize("make", [mscn, functa])
def test_a_truncated_gradient_takes_earlier_steps_as_given(make):
    whole, truncated = make(inner_steps=3), make(inner_steps=3, truncate=1)
    theta, gates = whole.init(jax.random.key(0), COORDS), whole.init_gates()

    def loss(theta, learner):
        return meta.chunk_loss(theta, learner, gates, COORDS, KEYS[:1], TARGETS[:1])[0]

    def by_hand(theta):
        """One step of a field whose code starts where two steps have led."""
        gate = whole.controller.hard_concrete.sample(KEYS[0], theta["log_alpha"]) if gates is not None else 1.0
        led, _, _ = whole.fit(jax.lax.stop_gradient(theta), gates, KEYS[0], COORDS, TARGETS[0], steps=2)

        def error(gated):
            return metrics.mse(whole.render(theta, gated, COORDS), TARGETS[0])

        # `led` is gated: the adapted values themselves are what the loss of a gated code is differentiated by.
        adapted = led / jnp.where(jax.lax.stop_gradient(gate) == 0, 1, jax.lax.stop_gradient(gate))
        adapted = adapted - theta["inner_lr"]["code"] * jax.grad(lambda a: error(gate * a))(adapted)
        penalty = (
            jnp.exp(gates.log_lambda) * whole.controller.hard_concrete.expected_l0(theta["log_alpha"]) if gates else 0.0
        )
        return error(gate * adapted) + penalty

    assert loss(theta, truncated) == pytest.approx(float(loss(theta, whole)), rel=1e-6)
    found, expected = jax.grad(loss)(theta, truncated), jax.grad(by_hand)(theta)
    for name in ("field", "inner_lr"):
        for mine, theirs in zip(jax.tree.leaves(found[name]), jax.tree.leaves(expected[name]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-5 * float(np.max(np.abs(theirs))))
