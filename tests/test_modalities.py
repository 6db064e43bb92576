"""What every modality promises, and signals of each through the one code path of training and of the codec."""

import functools
import subprocess
import sys
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rooms
from outer_steps import mesh

from mscn_flax import codec, data, meta, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.fitting import fit_model
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES, MODALITIES, SCENES, VOXELS, Sampling
from mscn_flax.modalities.values import array_to_targets
from mscn_flax.rendering import Camera, RadianceField
from mscn_flax.siren import Siren
from mscn_flax.stream import explain, parse

KEYS = jax.random.split(jax.random.key(6), 4)
DATA_SETS = {"image": "photos", "map": "sphere_fields", "volume": "solids", "scene": "balls"}


@pytest.fixture(params=MODALITIES)
def name(request):
    return request.param


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_numbers_in_streams_never_change():
    assert list(MODALITIES) == ["image", "map", "volume", "scene"]


def test_modalities_import_neither_jax_nor_what_takes_long():
    heavy = "jax flax tensorflow trimesh skimage xarray scipy"
    script = f"import sys, mscn_flax.modalities; print([name for name in '{heavy}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_split_is_joined(name):
    modality, side, signal = MODALITIES[name], rooms.SIDE[name], rooms.signal(name)
    parts = modality.split(signal, side, modality.values(signal).shape[-1])
    values = modality.values(signal if name == "scene" else parts)
    stored = modality.stored(array_to_targets(values, modality.axes))
    equal(modality.join(stored, *modality.extent(signal), side, modality.cameras(signal)), signal)
    count = len(jax.tree.leaves(parts)[0])
    modality.check_header(*modality.extent(signal), count, side)
    for height, width, number in ((99, 18, count), (*modality.extent(signal), 0)):
        with pytest.raises(ValueError, match="claims"):
            modality.check_header(height, width, number, side)


def test_what_is_written_is_read(name, tmp_path):
    modality, signal = MODALITIES[name], rooms.signal(name)
    for ending in set(modality.writable) - {".ply", ".obj", ".stl"}:  # Surfaces lose the voxels between.
        path = tmp_path / f"a{ending}"
        modality.check_writable(path)
        modality.write(path, signal)
        assert modality.takes(path)
        found = modality.read(path, rooms.SIDE[name])
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=2e-7), found, signal)
        assert [leaf.dtype for leaf in jax.tree.leaves(found)] == [leaf.dtype for leaf in jax.tree.leaves(signal)]
    assert not list(tmp_path.glob(".*"))
    for wrong in ("a.txt", "a.mscn"):
        assert not modality.takes(tmp_path / wrong)
        with pytest.raises(ValueError, match="must"):
            modality.check_writable(tmp_path / wrong)
    with pytest.raises(ValueError, match="no") as raised:
        modality.read(tmp_path / f"absent{next(iter(modality.readable), '')}", rooms.SIDE[name])
    assert "\n" not in str(raised.value)


def test_a_signal_has_no_error_and_another_has_one(name):
    modality = MODALITIES[name]
    signal, other = rooms.signal(name), rooms.signal(name, seed=1)
    assert "inf dB" in (said := modality.described(modality.errors(signal, signal))) or "0.00" in said
    assert "inf" not in (said := modality.described(modality.errors(signal, other)))
    assert " 0.00" not in f" {said}"


def test_points_drawn_are_points_of_the_whole(name):
    modality, side, signals = MODALITIES[name], rooms.SIDE[name], rooms.signals(name)
    coords, targets = modality.whole(signals, side)
    count, channels = len(targets), targets.shape[-1]
    every = np.broadcast_to(coords, (*targets.shape[:-1], coords.shape[-1])) if coords.ndim == 2 else coords
    known = [
        {tuple(c): v for c, v in zip(*map(np.ndarray.tolist, pair), strict=True)}
        for pair in zip(every.reshape(count, -1, modality.dims), targets.reshape(count, -1, channels), strict=True)
    ]
    sampling = Sampling(stride=2, rounds=3, views=2, rays=6)
    for points in (
        modality.draw(signals, side, sampling, np.random.default_rng(0)),
        modality.observed(signals, side, 3, 2),
        modality.observed(signals, side, 3),
    ):
        own = points.coords.ndim == points.targets.ndim
        for signal in range(count):
            seen = points.coords[signal] if own else points.coords
            pairs = seen.reshape(-1, modality.dims).tolist(), points.targets[signal].reshape(-1, channels).tolist()
            assert all(known[signal][tuple(c)] == v for c, v in zip(*pairs, strict=True))
    equal(modality.observed(signals, side, 3, 2), modality.observed(signals, side, 3, 2))


def test_zeros_have_the_shapes_of_the_real_thing(name):
    known, side = data.DATA_SETS[DATA_SETS[name]], 16 if name != "map" else 10
    signals_of = data.load(DATA_SETS[name], "validation", resolution=side)
    signals = jax.tree.map(lambda *each: np.stack(each), *[signals_of[i] for i in range(2)])
    sampling = Sampling(stride=2, rounds=4, views=3, rays=10)
    real = known.modality.draw(signals, side, sampling, np.random.default_rng(0))
    example = known.modality.example(2, known.channels, side, sampling)
    shown = known.modality.draw(example, side, sampling, np.random.default_rng(0))
    assert [(a.shape, a.dtype) for a in shown] == [(a.shape, a.dtype) for a in real]
    assert real.coords.shape[-1] == known.modality.dims == known.modality.all_coordinates(side).shape[-1]


def learner(modality, siren):
    if modality.extra_channels:
        return MetaLearner(
            RadianceField(siren=siren, camera=Camera(samples_per_ray=4)), controller=BudgetController(budget=5)
        )
    # Larger rates magnify rounding, of solids to half a percent.
    return MetaLearner(field=siren, inner_lr_range=(0.2, 0.6), controller=BudgetController(budget=5))


def gradient(siren, modality, points, devices, chunk_size):
    """Of eq. 8 with respect to theta."""
    coords = jnp.asarray(points.coords).reshape(-1, points.coords.shape[-1])
    ours = learner(modality, siren)
    theta, gates = ours.init(jax.random.key(0), coords), ours.init_gates()
    compiled = jax.jit(functools.partial(meta.meta_gradient, ours, mesh=mesh(devices), chunk_size=chunk_size))
    logged, found = compiled(theta, gates, KEYS, *points)
    assert np.isfinite(logged["mse"])
    return found


def assert_close(one, other):
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(one))
    for mine, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-5 * scale)


def test_signals_train_alike_on_one_device_and_on_two(name):
    modality, side, signals = MODALITIES[name], rooms.SIDE[name], rooms.signals(name)
    sampling = Sampling(stride=2, views=2, rays=6)
    points = modality.draw(signals, side, sampling, np.random.default_rng(1))
    siren = Siren(depth=3, width=8, out_dim=modality.values(signals).shape[-1] + modality.extra_channels)
    assert_close(gradient(siren, modality, points, 1, 4), gradient(siren, modality, points, 2, 1))


def test_points_of_each_signal_equal_points_that_all_share():
    shared = IMAGES.whole(rooms.signals("image"), 8)
    own = shared._replace(coords=np.broadcast_to(shared.coords, (4, *shared.coords.shape)).copy())
    siren = Siren(depth=3, width=8)
    expected = gradient(siren, IMAGES, shared, 1, 4)
    for devices, chunk_size in ((1, 2), (2, 1)):
        assert_close(expected, gradient(siren, IMAGES, own, devices, chunk_size))


def test_the_same_points_in_every_step_equal_points_that_are_not_fresh():
    once = IMAGES.draw(rooms.signals("image"), 8, Sampling(stride=2), np.random.default_rng(1))
    siren = Siren(depth=3, width=8)
    rounds = learner(IMAGES, siren).inner_steps + 1
    again = once._replace(
        coords=np.repeat(once.coords[None], rounds, axis=0), targets=np.repeat(once.targets[:, None], rounds, axis=1)
    )
    assert_close(gradient(siren, IMAGES, once, 1, 4), gradient(siren, IMAGES, again, 2, 1))


def test_fresh_points_are_others_in_every_step():
    solids = rooms.signals("volume")
    points = VOXELS.draw(solids, 8, Sampling(stride=2, rounds=4), np.random.default_rng(1))
    assert points.coords.shape == (4, 64, 3)
    assert points.targets.shape == (4, 4, 64, 1)
    assert not np.array_equal(points.coords[0], points.coords[1])
    gradient(Siren(depth=3, width=8, out_dim=1), VOXELS, points, 2, 1)
    points = SCENES.draw(rooms.signals("scene"), 8, Sampling(rounds=4, views=2, rays=6), np.random.default_rng(1))
    assert points.coords.shape == (4, 4, 12, 6)
    assert points.targets.shape == (4, 4, 12, 3)
    assert len(np.unique(points.coords.reshape(-1, 12 * 6), axis=0)) == 16
    gradient(Siren(depth=3, width=8, out_dim=4), SCENES, points, 2, 1)


@pytest.fixture(scope="module", params=MODALITIES)
def shared(request):
    """A model of each modality; not trained, which no stream knows."""
    modality, side, signals = MODALITIES[request.param], rooms.SIDE[request.param], rooms.signals(request.param, 30)
    siren = Siren(depth=3, width=8, w0=20.0, out_dim=modality.values(signals).shape[-1] + modality.extra_channels)
    ours = learner(modality, siren)
    theta = jax.device_get(ours.init(jax.random.key(0), jnp.asarray(modality.all_coordinates(side))))
    mask = np.zeros(siren.code_shape, bool)
    mask[0, :5] = mask[1, 2:4] = True
    coder = Coder(ours, theta, mask, side, 3, modality)
    return fit_model(coder, coder.adapt(signals), 5, trained_on="made up")


SAYS = {"image": "13x20 pixels in 6 patches", "map": "3 maps of 10x18 points", "volume": "8^3 voxels", "scene": "8x8"}


def test_signals_come_back_as_the_decoder_alone_makes_them(shared, tmp_path):
    modality = shared.coder.modality
    signal = rooms.signal(modality.name, seed=1)
    stream, cameras = codec.encode(shared, signal), modality.cameras(signal)
    decoded = codec.decode(shared, stream, cameras)
    for there, here in zip(jax.tree.leaves(decoded), jax.tree.leaves(signal), strict=True):
        assert (there.shape, there.dtype) == (here.shape, here.dtype)
    shared.save(tmp_path / "m.safetensors")
    loaded = model.load_model(tmp_path / "m.safetensors")
    assert loaded.id == shared.id
    assert f"per {modality.part} of {modality.size(rooms.SIDE[modality.name])}" in loaded.explain()
    equal(codec.decode(loaded, stream, cameras), decoded)
    # The values are those of the quantised codes.
    coords, _ = modality.rendered_at(cameras, shared.coder.learner.field, shared.coder.side)
    seen = shared.coder.render(codec.unpack(shared, parse(stream)), coords)
    equal(modality.join(modality.stored(seen), *modality.extent(signal), shared.coder.side, cameras), decoded)
    assert SAYS[modality.name] in explain(stream)
    assert modality.rate in explain(stream)


@pytest.mark.parametrize("other", MODALITIES)
def test_only_signals_of_the_model_are_coded(shared, other):
    if other != shared.coder.modality.name:
        with pytest.raises(ValueError, match="need") as raised:
            codec.encode(shared, rooms.signal(other))
        assert "\n" not in str(raised.value)


def test_signals_of_another_shape_or_that_are_not_finite_are_refused(shared):
    modality = shared.coder.modality
    signal = rooms.signal(modality.name)
    crop = modality.values(signal)[..., :3, :1]
    with pytest.raises(ValueError, match="need"):
        codec.encode(shared, signal | {"views": crop} if isinstance(signal, dict) else crop)
    broken = jax.tree.map(lambda array: array * np.float32(np.nan) if array.dtype == np.float32 else array, signal)
    if modality is not IMAGES:
        with pytest.raises(ValueError, match="not finite"):
            codec.encode(shared, broken)


def altered(data, position, value):
    body = bytearray(data[:-4])
    body[position] = value
    return bytes(body) + zlib.crc32(bytes(body)).to_bytes(4, "big")


def test_hostile_headers_end_in_one_line(shared):
    name = shared.coder.modality.name
    stream = codec.encode(shared, rooms.signal(name))
    others = [number for number, other in enumerate(MODALITIES) if other != name]
    hostile = [(3, number, "another kind") for number in others]
    # The height, and more maps or patches than the payload can hold.
    hostile += [(3, 9, "kind 9"), (8, 99, "claims"), (10, 127, "claims|payload|too many")]
    for position, value, says in hostile:
        with pytest.raises(ValueError, match=says) as raised:
            codec.decode(shared, altered(stream, position, value))
        assert "\n" not in str(raised.value)


def test_cameras_are_for_scenes(shared):
    name = shared.coder.modality.name
    stream, cameras = codec.encode(shared, rooms.signal(name)), MODALITIES["scene"].cameras(rooms.signal("scene", 3))
    if name == "scene":
        assert codec.decode(shared, stream, cameras)["views"].shape == (5, 8, 8, 3)
        assert codec.decode(shared, stream)["views"].shape == (24, 8, 8, 3)
    else:
        with pytest.raises(ValueError, match="cameras are for scenes"):
            codec.decode(shared, stream, cameras)


@pytest.mark.parametrize("name", MODALITIES)
def test_what_a_modality_is_called_is_the_same_in_every_process(name):
    """Checkpoints are found by it."""
    assert repr(MODALITIES[name]) == name
