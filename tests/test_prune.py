import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer_steps import mesh, outer_steps

from mscn_flax import over_signals
from mscn_flax.delta import DeltaSiren
from mscn_flax.finetune import AdamFit
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.outer import OuterOptimizer
from mscn_flax.prune import PruningRounds, narrow, prune, siren_weights, surviving
from mscn_flax.siren import Siren
from mscn_flax.sparsity import GradientGates, UnstructuredGates

COORDS = jnp.asarray(grid_coordinates((8, 8)))
TARGETS = jax.random.uniform(jax.random.key(5), (4, 64, 3))
FIELD = DeltaSiren(Siren(depth=3, width=16, w0=20.0, centred=True, uniform_bias=True))
REFERENCE = Siren(depth=5, width=256, w0=200.0)
MESH = mesh(2)


def pruned(criterion, rounds=4):
    controller = PruningRounds(rounds=rounds, dense_steps=6, round_steps=3, criterion=criterion)
    return MetaLearner(
        field=FIELD,
        controller=controller,
        form=UnstructuredGates(),
        inner_steps=2,
        inner_lr_range=(0.1, 0.1),
        meta_sgd=False,
        remat=False,
    )


@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_rounds_keep_exactly_their_share_and_never_revive(criterion):
    one = pruned(criterion)
    weights, before = siren_weights(FIELD.siren), np.ones(FIELD.code_shape, bool)
    stops = {one.controller.stop(k): k for k in range(5)}
    assert stops == {6: 0, 9: 1, 12: 2, 15: 3, 18: 4}
    encode = jax.jit(functools.partial(over_signals.encode, one, mesh=MESH, chunk_size=2))
    steps = outer_steps(one, OuterOptimizer(learning_rate=1e-3), COORDS, TARGETS, planned=6, count=18)
    for number, (state, _) in enumerate(steps, start=1):
        mask = np.asarray(state.gates.mask)
        assert not np.any(mask & ~before)
        assert mask[~FIELD.is_weight].all()  # Biases are never pruned.
        before = mask
        if number in stops:
            assert mask[FIELD.is_weight].sum() == round(weights * 0.8 ** stops[number])
            codes = encode(state.theta, state.gates, COORDS, TARGETS)
            for code in codes:
                assert np.all((np.asarray(one.form.counted(FIELD, state.theta["field"], code)) != 0) == mask)


def test_magnitude_pruning_removes_the_smallest():
    scores = jnp.asarray([5.0, 1.0, 4.0, 3.0, 0.0, 9.0])
    prunable = jnp.asarray([True, True, True, True, False, True])
    mask = jnp.asarray([True, True, True, True, True, False])
    kept = prune(mask, scores, prunable, jnp.int32(2))
    np.testing.assert_array_equal(kept, [True, False, True, False, True, False])


def test_counts_of_the_reference_network():
    assert siren_weights(REFERENCE) == 197_888
    assert DeltaSiren(REFERENCE).code_shape == (198_915,)
    # Figure of Lee et al.; the reference code rounds after every round, hence up to 2 weights of difference.
    for k, count in {9: 26_561, 11: 17_000, 13: 10_880, 15: 6_964, 17: 4_458, 19: 2_852}.items():
        assert abs(surviving(197_888, k) - count) <= 2


def test_narrow_widths_are_the_reference_codes():
    widths = [230, 206, 184, 164, 148, 132, 118, 106, 94, 84, 76, 68, 60, 54, 48, 44, 38, 34, 32, 28]
    assert [narrow(REFERENCE, 0.8**k).width for k in range(1, 21)] == widths
    assert narrow(REFERENCE, 1.0).width == 256


@pytest.mark.parametrize(
    ("wrong", "says"), [({"criterion": "magnitud"}, "valid: magnitude, random"), ({"round_steps": 0}, "steps >= 1")]
)
def test_wrong_values_are_named(wrong, says):
    with pytest.raises(ValueError, match=says):
        PruningRounds(**wrong)


def final_networks(one, keep):
    theta, gates = one.init(jax.random.key(0), COORDS), one.init_gates()
    fit = AdamFit(learning_rate=1e-3, steps=20)
    codes = fit.encode(one, theta, gates, COORDS, TARGETS, fit.schedule(keep), mesh=MESH, chunk_size=2)
    return np.stack([one.form.counted(FIELD, theta["field"], code) for code in codes])


def test_adam_prunes_on_the_way_to_the_exact_count():
    weights = siren_weights(FIELD.siren)
    for keep in ((surviving(weights, 3),), tuple(surviving(weights, k) for k in (1, 2, 3))):
        final = final_networks(pruned("magnitude", rounds=0), keep)
        np.testing.assert_array_equal(np.count_nonzero(final[:, FIELD.is_weight], axis=1), surviving(weights, 3))
        assert np.all(final[:, ~FIELD.is_weight] != 0)


def test_adam_prunes_where_the_mask_is_of_parameters_alone():
    one = MetaLearner(field=FIELD, form=GradientGates())
    fit = AdamFit(steps=4)
    theta = one.init(jax.random.key(0), COORDS)
    with pytest.raises(ValueError, match="UnstructuredGates alone"):
        fit.encode(one, theta, None, COORDS, TARGETS, fit.schedule([7]), mesh=MESH, chunk_size=2)


def test_prunings_are_evenly_spaced():
    assert list(np.flatnonzero(AdamFit().schedule([7]) == 7)) == [50]
    assert list(np.flatnonzero(AdamFit().schedule([9, 8, 7, 6]) >= 0)) == [20, 40, 60, 80]


def test_adam_moves_only_what_the_gates_leave_open_and_fits():
    one = pruned("magnitude", rounds=0)
    one = MetaLearner(field=FIELD, controller=one.controller, form=GradientGates(), meta_sgd=False)
    theta, gates = one.init(jax.random.key(0), COORDS), one.init_gates()
    mask = jax.random.uniform(jax.random.key(1), FIELD.code_shape) < 0.3
    fit = AdamFit(learning_rate=1e-2, steps=30)
    gates = gates.replace(mask=mask)
    codes = fit.encode(one, theta, gates, COORDS, TARGETS, mesh=MESH, chunk_size=2)
    assert not np.asarray(codes)[:, ~np.asarray(mask)].any()
    before = one.render(theta, jnp.zeros(FIELD.code_shape), COORDS)
    after = one.render(theta, codes[0], COORDS)
    assert np.mean((after - TARGETS[0]) ** 2) < 0.7 * np.mean((before - TARGETS[0]) ** 2)
