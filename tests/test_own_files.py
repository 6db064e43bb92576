"""Maps, solids and scenes of one's own through the command line; pictures are in `test_main`."""

import gin
import numpy as np
import pytest
import rooms

from mscn_flax import __main__ as cli
from mscn_flax import codec, devices, model
from mscn_flax.modalities import MODALITIES, SCENES


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """JAX has its devices already."""
    monkeypatch.setattr(devices, "choose", lambda: None)
    yield
    gin.clear_config()


def train(path, name, *more):
    tiny = [
        "--modulations=8",
        "--gin_param=codec/Training.outer_steps=3",
        f"--gin_param=codec/{name}/codec.fit_signals=8",
    ]
    tiny += [f"--gin_param=codec/{name}/{binding}" for binding in ("Siren.width=8", "Siren.depth=3", *more)]
    data = {"map": "sphere_fields", "volume": "solids", "scene": "balls"}[name]
    rooms.train("-o", str(path), f"--data={data}", f"--resolution={rooms.SIDE[name]}", *tiny)


@pytest.mark.parametrize(
    ("name", "ending", "says"), [("map", ".nc", "bits per value, RMSE"), ("volume", ".binvox", "voxels wrong")]
)
def test_a_file_of_ones_own_comes_back(name, ending, says, tmp_path, capsys):
    modality, path, signal = MODALITIES[name], tmp_path / "m.safetensors", rooms.signal(name, seed=4)
    train(path, name, "Training.stride=2")
    modality.write(tmp_path / f"a{ending}", signal)
    cli.main(["encode", str(tmp_path / f"a{ending}"), "--model", str(path)])
    assert says in capsys.readouterr().out
    cli.main(["decode", str(tmp_path / "a.mscn"), "-o", str(tmp_path / f"b{ending}"), "--model", str(path)])
    assert modality.read(tmp_path / f"b{ending}", rooms.SIDE[name]).shape == signal.shape
    with pytest.raises(SystemExit):
        cli.main(["decode", str(tmp_path / "a.mscn"), "-o", str(tmp_path / "b.png"), "--model", str(path)])
    assert f"must end in one of {', '.join(modality.writable)}" in capsys.readouterr().err


def test_a_scene_of_ones_own_comes_back_seen_by_any_camera(tmp_path, capsys):
    path, scene = tmp_path / "m.safetensors", rooms.signal("scene", seed=5)
    train(path, "scene", "Training.outer_steps=3", "Training.rays=8", "Camera.samples_per_ray=4")
    SCENES.write(tmp_path / "scenes" / "ours", scene)
    # A folder of scenes stands for them, a scene for itself.
    for given in (tmp_path / "scenes", tmp_path / "scenes" / "ours"):
        cli.main(["encode", str(given), "--model", str(path), "--force"])
        assert "dB of 5 views" in capsys.readouterr().out
    stream, same = tmp_path / "scenes" / "ours.mscn", tmp_path / "same"
    folders = ["--cameras", str(tmp_path / "scenes" / "ours")]
    cli.main(["decode", str(stream), "-o", str(same), "--model", str(path), *folders])
    # What the encoder measured is what comes back.
    seen = codec.decode(model.load_model(path), stream.read_bytes(), SCENES.cameras(scene))
    np.testing.assert_array_equal(SCENES.read(same)["views"], seen["views"])
    np.testing.assert_allclose(SCENES.read(same)["poses"], scene["poses"], rtol=1e-6)
    cli.main(["decode", str(stream), "--model", str(path)])
    assert SCENES.read(tmp_path / "scenes" / "ours.decoded")["views"].shape == (24, 8, 8, 3)
    # A scene takes the place of a scene where it is told to.
    cli.main(["decode", str(stream), "-o", str(same), "--model", str(path), "--force"])
    assert len(SCENES.read(same)["views"]) == 24
    (same / "diary.txt").write_text("more than a scene")
    cli.main(["decode", str(stream), "-o", str(same), "--model", str(path), "--force"])
    assert len(SCENES.read(same / "ours.decoded")["views"]) == 24
    (same / "diary.txt").unlink()
    capsys.readouterr()
    for wrong, says in (
        ([str(stream), "-o", str(same)], "exists already"),
        ([str(stream), "-o", str(tmp_path / "scenes" / "ours"), *folders, "--force"], "would replace the input"),
        ([str(stream), "-o", str(tmp_path / "same.png")], "must be a folder"),
        ([str(stream), "-o", str(tmp_path / "new"), "--cameras", str(tmp_path)], "has no pose"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["decode", *wrong, "--model", str(path)])
        assert says in capsys.readouterr().err


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
