"""Maps and solids through the codec, from file to file."""

import zlib

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
import xarray

from mscn_flax import __main__ as cli
from mscn_flax import codec, devices, fields, kinds, model, signals, solids, views
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.network import Network
from mscn_flax.siren import Siren
from mscn_flax.stream import explain, parse

SIDE = {"map": 10, "volume": 8}
SIREN = Siren(depth=3, width=8, w0=20.0, out_dim=1)


def arrays(kind, count=30, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "map":
        return fields.to_unit(np.stack([fields.random_field(rng, (10, 18), degree=3) for _ in range(count)]))[..., None]
    return np.stack([solids.random_solid(rng, 8) for _ in range(count)])[..., None].astype(np.float32)


@pytest.fixture(scope="module", params=SIDE)
def shared(request):
    kind = request.param
    learner = MetaLearner(field=SIREN, inner_lr_range=(1.0, 3.0), controller=BudgetController(budget=7))
    coords = kinds.KINDS[kind].modality.all_coordinates(SIDE[kind])
    theta = jax.device_get(learner.init(jax.random.key(0), jnp.asarray(coords)))
    mask = np.zeros(SIREN.code_shape, bool)
    mask[0, :5] = mask[1, 2:4] = True
    network = Network(learner, theta, mask, SIDE[kind], 3, kind)
    return model.fit(network, network.adapt(arrays(kind)), 5, trained_on="made up")


def test_signals_come_back_as_the_decoder_alone_makes_them(shared, tmp_path):
    kind = shared.network.kind
    signal = arrays(kind, 3, seed=1) if kind == "map" else arrays(kind, 1, seed=1)[0]
    data = codec.encode(shared, signal)
    decoded = codec.decode(shared, data)
    assert decoded.shape == signal.shape
    assert decoded.dtype == np.float32
    shared.save(tmp_path / "m.safetensors")
    loaded = model.load(tmp_path / "m.safetensors")
    assert loaded.network.kind == kind
    np.testing.assert_array_equal(codec.decode(loaded, data), decoded)
    stream = parse(data)
    assert len(data) == stream.header_bytes + len(stream.payload)
    codes = shared.network.adapt(codec.split(shared.network, signal))
    assert abs(len(stream.payload) - codec.estimated_bits(shared, codes) / 8) < 3
    # The values are those of the quantised codes.
    seen = shared.network.render(codec.unpack(shared, stream))
    np.testing.assert_array_equal(seen.reshape(signal.shape), decoded)
    assert {"map": "3 maps of 10x18 points", "volume": "8^3 voxels"}[kind] in explain(data)


def test_other_kinds_and_shapes_are_refused(shared):
    kind = shared.network.kind
    for wrong in (
        np.zeros((4, 5, 3), np.uint8),
        np.zeros((2, 9, 18, 1), np.float32),
        np.zeros((8, 8, 7, 1), np.float32),
    ):
        with pytest.raises(ValueError, match="need"):
            codec.encode(shared, wrong)
    signal = arrays(kind, 1) if kind == "map" else arrays(kind, 1)[0]
    broken = signal.copy()
    broken[(0,) * broken.ndim] = np.nan
    with pytest.raises(ValueError, match="finite"):
        codec.encode(shared, broken)


def altered(data, position, value):
    body = bytearray(data[:-4])
    body[position] = value
    return bytes(body) + zlib.crc32(bytes(body)).to_bytes(4, "big")


def test_hostile_headers_end_in_one_line(shared):
    kind = shared.network.kind
    data = codec.encode(shared, arrays(kind, 1) if kind == "map" else arrays(kind, 1)[0])
    other = {"map": 2, "volume": 1}[kind]
    for position, value, says in (
        (3, 0, "another kind"),
        (3, other, "another kind"),
        (3, 9, "kind 9"),
        (8, 99, "points"),
    ):
        with pytest.raises(ValueError, match=says):
            codec.decode(shared, altered(data, position, value))
    # More maps or patches than the payload can hold.
    with pytest.raises(ValueError, match=r"claims|payload|too many"):
        codec.decode(shared, altered(data, 10, 127))


def test_maps_keep_their_temperatures(tmp_path):
    kelvin = np.stack([fields.random_field(np.random.default_rng(seed), (10, 18)) for seed in range(2)])
    for name in ("a.nc", "a.npz"):
        kinds.KINDS["map"].write(tmp_path / name, fields.to_unit(kelvin)[..., None])
        read = kinds.KINDS["map"].read(tmp_path / name, 10)
        np.testing.assert_allclose(fields.to_kelvin(read[..., 0]), kelvin, atol=2e-3)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as opened:
        assert opened["t2m"].attrs["units"] == "K"
        np.testing.assert_allclose(opened["latitude"], signals.latitudes(10))


@pytest.mark.parametrize("name", ["a.binvox", "a.npy"])
def test_solids_keep_their_voxels(name, tmp_path):
    solid = arrays("volume", 1)[0]
    kinds.KINDS["volume"].write(tmp_path / name, solid)
    np.testing.assert_array_equal(kinds.KINDS["volume"].read(tmp_path / name, 8), solid)


@pytest.mark.parametrize("name", ["a.ply", "a.obj", "a.stl"])
def test_surfaces_are_closed_and_where_the_solid_is(name, tmp_path):
    side = 24
    distance = np.linalg.norm(signals.grid_coordinates((side,) * 3) - 0.5, axis=1).reshape((side,) * 3 + (1,))
    kinds.KINDS["volume"].write(tmp_path / name, (0.5 + 10 * (0.3 - distance)).astype(np.float32))
    mesh = trimesh.load(tmp_path / name, force="mesh")
    assert mesh.is_watertight
    # Seen from outside, in the unit cube, of the ball's volume.
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)
    np.testing.assert_allclose(mesh.bounds, [[0.2] * 3, [0.8] * 3], atol=0.005)
    with pytest.raises(ValueError, match="empty"):
        kinds.KINDS["volume"].write(tmp_path / name, np.zeros((4, 4, 4, 1), np.float32))


@pytest.fixture
def _in_this_process(monkeypatch):
    """JAX has its devices already."""
    monkeypatch.setattr(devices, "choose", lambda: None)
    yield
    gin.clear_config()


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.parametrize(
    ("train", "content", "ending", "says"),
    [
        (["--data=sphere_fields", "--resolution=10"], "map", ".nc", "bits a value, RMSE"),
        (
            ["--data=solids", "--resolution=8", "--gin_param=codec/volume/codec.stride=2"],
            "volume",
            ".binvox",
            "voxels wrong",
        ),
    ],
)
def test_a_file_of_ones_own_comes_back(train, content, ending, says, tmp_path, capsys):
    kind, path = kinds.KINDS[content], tmp_path / "m.safetensors"
    tiny = ["--modulations=8", "--gin_param=codec.outer_steps=3", "--gin_param=codec.fit_signals=20"]
    tiny += [f"--gin_param=codec/{content}/{name}" for name in ("Siren.width=8", "Siren.depth=3")]
    cli.main(["train", "-o", str(path), *train, *tiny])
    signal = arrays(content, 1, seed=4)
    kind.write(tmp_path / f"a{ending}", signal if content == "map" else signal[0])
    cli.main(["encode", str(tmp_path / f"a{ending}"), "--model", str(path)])
    assert says in capsys.readouterr().out
    cli.main(["decode", str(tmp_path / "a.mscn"), "-o", str(tmp_path / f"b{ending}"), "--model", str(path)])
    assert kind.read(tmp_path / f"b{ending}", SIDE[content]).shape == (signal if content == "map" else signal[0]).shape
    with pytest.raises(SystemExit):
        cli.main(["decode", str(tmp_path / "a.mscn"), "-o", str(tmp_path / "b.png"), "--model", str(path)])
    assert f"must end in one of {', '.join(kind.writable)}" in capsys.readouterr().err


@pytest.mark.usefixtures("_in_this_process")
def test_a_scene_of_ones_own_comes_back_seen_by_any_camera(tmp_path, capsys):
    path, scene = tmp_path / "m.safetensors", views.random_scene(np.random.default_rng(5), 8, 5)
    tiny = ["--modulations=8", "--gin_param=codec/scene/codec.outer_steps=3", "--gin_param=codec.fit_signals=8"]
    small = ("Siren.width=8", "Siren.depth=3", "Camera.samples_per_ray=4")
    tiny += [f"--gin_param=codec/scene/{name}" for name in small]
    cli.main(["train", "-o", str(path), "--data=balls", "--resolution=8", *tiny])
    views.write(tmp_path / "scenes" / "ours", scene)
    again = views.read(tmp_path / "scenes" / "ours")
    np.testing.assert_array_equal(again.pictures, scene.pictures)
    np.testing.assert_allclose(again.poses, scene.poses, rtol=1e-6)
    assert (again.focal, again.cx, again.cy) == pytest.approx((scene.focal, scene.cx, scene.cy))
    # A folder of scenes stands for them, a scene for itself.
    for given in (tmp_path / "scenes", tmp_path / "scenes" / "ours"):
        cli.main(["encode", str(given), "--model", str(path), "--force"])
        assert "5 views of 8x8, " in capsys.readouterr().out
    stream = tmp_path / "scenes" / "ours.mscn"
    folders = ["--cameras", str(tmp_path / "scenes" / "ours")]
    cli.main(["decode", str(stream), "-o", str(tmp_path / "same"), "--model", str(path), *folders])
    decoded, shared = views.read(tmp_path / "same"), model.load(path)
    np.testing.assert_allclose(decoded.poses, scene.poses, rtol=1e-6)
    # What the encoder measured is what comes back.
    seen = codec.decode(shared, stream.read_bytes(), scene.as_record())
    np.testing.assert_array_equal(decoded.pictures, seen["views"])
    cli.main(["decode", str(stream), "--model", str(path)])
    assert views.read(tmp_path / "scenes" / "ours.decoded").pictures.shape == (24, 8, 8, 3)
    # A scene takes the place of a scene where it is told to, and of nothing else.
    cli.main(["decode", str(stream), "-o", str(tmp_path / "same"), "--model", str(path), "--force"])
    assert len(views.read(tmp_path / "same").pictures) == 24
    assert not list(tmp_path.glob(".same*"))
    (tmp_path / "same" / "diary.txt").write_text("more than a scene")
    with pytest.raises(FileExistsError, match="exists already"):
        views.write(tmp_path / "same", scene)
    assert (tmp_path / "same" / "diary.txt").exists()
    cli.main(["decode", str(stream), "-o", str(tmp_path / "same"), "--model", str(path), "--force"])
    assert len(views.read(tmp_path / "same" / "ours.decoded").pictures) == 24
    (tmp_path / "same" / "diary.txt").unlink()
    capsys.readouterr()
    for wrong, says in (
        ([str(stream), "-o", str(tmp_path / "same")], "exists already"),
        ([str(stream), "-o", str(tmp_path / "scenes" / "ours"), *folders, "--force"], "would replace the input"),
        ([str(stream), "-o", str(tmp_path / "same.png")], "must be a folder"),
        ([str(stream), "-o", str(tmp_path / "new"), "--cameras", str(tmp_path)], "has no pose"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["decode", *wrong, "--model", str(path)])
        assert says in capsys.readouterr().err
    with pytest.raises(ValueError, match="need a scene of views of 8x8"):
        codec.encode(shared, np.zeros((8, 8, 3), np.uint8))
    broken = scene.as_record()
    broken["poses"][0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        codec.encode(shared, broken)


def test_a_turntable_sees_all_of_the_ball_between_its_depths():
    near, far, side = 0.8, 1.8, 64
    cameras = views.turntable(near, far, side, 6)
    points = np.random.default_rng(0).normal(size=(1000, 3))
    points *= (far - near) / 2 / np.linalg.norm(points, axis=1, keepdims=True)
    for pose in cameras["poses"].astype(np.float64):
        x, y, depth = ((points - pose[:3, 3]) @ pose[:3, :3]).T
        assert near - 1e-6 <= depth.min()
        assert depth.max() <= far + 1e-6
        focal, column, row = cameras["intrinsics"]
        seen = np.stack([focal * x / depth + column, focal * y / depth + row])
        assert -1e-3 <= seen.min() < 4
        assert side - 4 < seen.max() <= side + 1e-3


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data=ball"], "no data set 'ball'"),
        (["--data=solids", "--pictures=."], "not both"),
    ],
)
def test_what_cannot_be_trained_on_is_named(arguments, says, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "-o", str(tmp_path / "m.safetensors"), *arguments])
    assert says in capsys.readouterr().err
