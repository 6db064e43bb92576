"""Transform and contexts: what they save, what they must not change, and what a model's file may not say of them."""

import dataclasses

import numpy as np
import pytest
import rooms
import safetensors
import safetensors.numpy

from mscn_flax import codec, model, stream, transform
from mscn_flax.coder import Coder
from mscn_flax.contexts import Contexts, class_tables, stacked
from mscn_flax.entropy import TOTAL
from mscn_flax.fitting import fit_model, lattices_of
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import VOXELS
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.train import Setup, Training, devices_for, first_state
from mscn_flax.transform import Transform, gram

LIMIT = 16


def _smooth(rng, rows=16, columns=16, entries=6):
    """Levels that resemble those of the part beside and above, in calm and in busy parts of a signal."""
    busy = np.where(np.arange(columns) % columns < columns // 2, 0.2, 2)[:, None] * rng.permutation([0.3, 1])[0]
    return np.rint(np.cumsum(np.cumsum(rng.normal(0, 1, (rows, columns, entries)) * busy, 0), 1)).astype(np.int32)


@pytest.fixture(scope="module")
def fitted():
    fields = [_smooth(np.random.default_rng(seed)) for seed in range(20)]
    return Contexts.fit(fields, LIMIT), fields


@pytest.mark.parametrize("lattice", [(8, 8), (1, 1), (5, 1), (1, 7), (3, 9)])
def test_levels_come_back_from_residuals(fitted, lattice):
    contexts, _ = fitted
    levels = np.random.default_rng(1).integers(-300, 300, (*lattice, 6)).astype(np.int32)
    sizes, walked = contexts.sizes(lattice), list(contexts.walk(levels, LIMIT))
    for entry, (residuals, classes) in enumerate(walked):
        np.testing.assert_array_equal(contexts.classes(entry, sizes), classes)
        sizes.add(residuals, contexts.units[entry])
    all_residuals = np.stack([residuals for residuals, _ in walked], axis=-1)
    np.testing.assert_array_equal(contexts.levels(all_residuals, LIMIT), levels)


def test_neighbours_and_sizes_save_bits(fitted):
    contexts, fields = fitted
    new = [_smooth(np.random.default_rng(seed)) for seed in range(100, 110)]

    def bits(contexts):
        tables = class_tables(contexts, [each for field in fields for each in contexts.walk(field, LIMIT)], 2 * LIMIT)
        walked = [each for field in new for each in contexts.walk(field, LIMIT)]
        symbols = [(np.clip(residuals + LIMIT, 0, 2 * LIMIT - 1), classes) for residuals, classes in walked]
        return sum(-np.log2(tables[classes, each] / TOTAL).sum() for each, classes in symbols)

    alone = dataclasses.replace(contexts, edges=np.zeros(0, np.int64))
    nothing = dataclasses.replace(alone, neighbours=np.zeros_like(contexts.neighbours))
    assert bits(contexts) < 0.95 * bits(alone) < 0.9 * bits(nothing)


def test_signals_together_are_walked_as_each_alone(fitted):
    contexts, fields = fitted
    several = [*fields[:3], fields[3][:5, :7], fields[4]]
    alike, other = stacked(several)
    assert alike.shape[0] == 4
    for signals, array in (([*several[:3], several[4]], alike), ([several[3]], other)):
        alone = zip(*(contexts.walk(signal, LIMIT) for signal in signals), strict=True)
        for together, each in zip(contexts.walk(array, LIMIT), alone, strict=True):
            for found, expected in zip(together, zip(*each, strict=True), strict=True):
                np.testing.assert_array_equal(found, np.stack(expected))


def test_coefficients_are_uncorrelated_and_cost_alike():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (500, 6)) @ rng.normal(0, 1, (6, 6))
    cost = rng.normal(0, 1, (6, 6))
    cost = cost @ cost.T + np.eye(6)
    made = Transform.fit(values.astype(np.float32), cost)
    coefficients = made.forward(values.astype(np.float32))
    spread = np.cov(coefficients, rowvar=False)
    deviations = np.sqrt(np.diag(spread))
    assert np.abs(spread / np.outer(deviations, deviations) - np.eye(6)).max() < 0.03
    assert (np.diff(deviations) < 0).all()
    # The cost of an error of 1 in one coefficient, and none in common.
    basis = np.float64(made.basis)
    np.testing.assert_allclose(basis @ cost @ basis.T, np.eye(6), atol=0.01)
    np.testing.assert_allclose(made.backward(coefficients), values, atol=1e-2)


def test_the_gram_matrix_says_what_small_errors_cost():
    shared = rooms.model("image")
    coder, codes = shared.coder, shared.coder.adapt(rooms.signals("image", 6))
    flat = codes.reshape(6, -1)
    found = gram(coder, flat)
    rng, costs = np.random.default_rng(0), []
    for _ in range(3):
        error = rng.normal(0, 1e-3, found.shape[0]).astype(np.float32)
        moved = flat.copy()
        moved[:, coder.stored] += error
        change = coder.render(moved.reshape(codes.shape)) - coder.render(codes)
        costs.append((np.square(change).mean(), error @ found @ error))
    np.testing.assert_allclose(*zip(*costs, strict=True), rtol=0.05)


def test_of_a_large_signal_points_from_everywhere_count(monkeypatch):
    learner = MetaLearner(LatentModulatedSiren(Siren(depth=3, width=16, out_dim=1, w0=20.0), latent_dim=6))
    setup = Setup(learner, OuterOptimizer(), Training(outer_steps=1, batch_size=1), VOXELS, 16)
    coder = Coder.of(learner, first_state(setup, devices_for(1)), 16, 3, VOXELS)
    codes = np.random.default_rng(0).normal(0, 0.1, (4, 6)).astype(np.float32)
    some = gram(coder, codes)
    monkeypatch.setattr(transform, "_POINTS", 16**3)
    all_points = gram(coder, codes)
    assert np.abs(some - all_points).max() < 0.2 * np.abs(all_points).max()


@pytest.fixture(scope="module")
def in_context():
    shared = rooms.model("image")
    codes = shared.coder.adapt(rooms.signals("image", 30))
    fields = lattices_of(shared.coder, [rooms.signal("image", seed) for seed in range(5)])
    return fit_model(shared.coder, codes, 5, transform=Transform.of(shared.coder, codes), fields=fields)


def test_the_first_bytes_of_a_stream_hold_the_first_numbers_of_every_part(in_context):
    signal = rooms.signal("image", 9)
    data = codec.encode(in_context, signal)
    all_of_it, mean = stream.parse(data), in_context.quantizer.levels // 2
    levels = in_context.levels(codec.unpack(in_context, all_of_it))
    held = []
    for length in range(all_of_it.header_bytes - 4, len(data) + 1):
        begun = stream.parse(data[:length], whole=False)
        found = in_context.levels(codec.unpack(in_context, begun))
        count = max((i for i in range(levels.shape[1] + 1) if (found[:, :i] == levels[:, :i]).all()), default=0)
        assert (found[:, count:] == mean).all()
        assert begun.whole == (length == len(data))
        held.append(count)
        assert codec.decode(in_context, data[:length], whole=False).shape == signal.shape
    assert held == sorted(held)
    assert held[0] < held[-1] == levels.shape[1]


def test_what_is_no_beginning_of_a_stream_is_refused(in_context):
    data = codec.encode(in_context, rooms.signal("image", 9))
    with pytest.raises(ValueError, match="checksum differs"):
        codec.decode(in_context, data[:-1])
    with pytest.raises(ValueError, match="ends within its header"):
        codec.decode(in_context, data[:6], whole=False)
    with pytest.raises(ValueError, match="number without end"):
        codec.decode(in_context, data[:9], whole=False)
    plain = rooms.model("image")
    with pytest.raises(ValueError, match="say nothing without contexts"):
        codec.decode(plain, codec.encode(plain, rooms.signal("image", 9))[:-1], whole=False)


BROKEN = {
    "no basis": lambda t: t.pop("transform.basis"),
    "a wide basis": lambda t: t.update({"transform.basis": t["transform.basis"][:, :-1]}),
    "an infinite basis": lambda t: t["transform.basis"].__setitem__((0, 0), np.inf),
    "a basis of another type": lambda t: t.update({"transform.basis": t["transform.basis"].astype(np.float32)}),
    "no gains": lambda t: t.pop("contexts.gains"),
    "an edge too many": lambda t: t.update({"contexts.edges": np.append(t["contexts.edges"], 1 << 40)}),
    "edges that fall": lambda t: t.update({"contexts.edges": t["contexts.edges"][::-1].copy()}),
    "weights of another type": lambda t: t.update({"contexts.neighbours": t["contexts.neighbours"].astype(np.float32)}),
    "a short excess": lambda t: t.update(excess_table=np.array([1 << 15, 1 << 15], np.uint32)),
    "an entry too few": lambda t: t.update({"contexts.units": t["contexts.units"][1:]}),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_in_one_line(in_context, tmp_path, broken):
    path = tmp_path / "m.safetensors"
    in_context.save(path)
    with safetensors.safe_open(path, framework="numpy") as opened:
        metadata = opened.metadata()
    tensors = {name: each.copy() for name, each in safetensors.numpy.load_file(path).items()}
    broken(tensors)
    safetensors.numpy.save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=r"m\.safetensors") as error:
        model.load_model(path)
    assert len(str(error.value).splitlines()) == 1


def test_hostile_numbers_end_in_codes_or_in_one_line(in_context):
    """Weights and gains of any size, which no file could be refused for: sums wrap, and nothing else happens."""
    rng = np.random.default_rng(0)
    codes = in_context.coder.adapt(rooms.signals("image", 6))
    for _ in range(20):
        wild = dataclasses.replace(
            in_context.contexts,
            neighbours=rng.integers(-(1 << 31), 1 << 31, in_context.contexts.neighbours.shape).astype(np.int32),
            units=rng.integers(-(1 << 31), 1 << 31, in_context.contexts.units.shape).astype(np.int32),
            gains=rng.integers(-(1 << 62), 1 << 62, in_context.contexts.gains.shape),
        )
        shared = dataclasses.replace(in_context, contexts=wild)
        shared.__dict__.pop("id", None)
        seen = codec.unpack(shared, stream.parse(codec.pack(shared, codes, 16, 24)))
        np.testing.assert_array_equal(seen, codec.unpack(shared, stream.parse(codec.pack(shared, seen, 16, 24))))


def test_masks_of_their_own_have_neither(in_context):
    own = dataclasses.replace(in_context.coder, mask=None)
    with pytest.raises(ValueError, match="masks of their own"):
        fit_model(own, np.zeros((8, 2, 8), np.float32), 5, fields=[])
