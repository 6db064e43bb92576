"""Models that come with the package: those that are there, and the commands that choose among them."""

import json
import pathlib

import gin
import jax
import numpy as np
import PIL.Image
import pytest
import rooms

from mscn_flax import __main__ as cli
from mscn_flax import configuration, devices, shipped, training
from mscn_flax.modalities import IMAGES, MAPS, SCENES
from mscn_flax.model import load_model
from mscn_flax.stream import parse

RATES = {"photos_1": 0.11, "photos_2": 0.19, "photos_3": 0.43, "photos_4": 0.7}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """JAX has its devices already."""
    monkeypatch.setattr(devices, "choose", lambda: None)
    yield
    gin.clear_config()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> shipped.Shelf:
    """All models for pictures, of different sizes, and that for maps; none for solids."""
    shelf = shipped.Shelf(tmp_path_factory.mktemp("models"))
    for name, numbers in (("photos_1", 2), ("photos_2", 4), ("photos_3", 8), ("photos_4", 15), ("maps", 7)):
        made = rooms.model("map" if name == "maps" else "image", numbers)
        made.save(shelf.file(name))
        judged = {"judged_on": "kodak", "rate": RATES[name], "psnr_db": 20.5} if name in RATES else {}
        shelf.write_card(shipped.card(name, made, judged))
    return shelf


@pytest.fixture
def picture(tmp_path) -> pathlib.Path:
    path = tmp_path / "photo.png"
    PIL.Image.fromarray(rooms.signal("image")).save(path)
    return path


def run(shelf, *arguments):
    cli.main(list(map(str, arguments)), models=shelf.folder)


def refused(capsys, shelf, *arguments, status="2"):
    """The last line of an error."""
    with pytest.raises(SystemExit, match=status):
        run(shelf, *arguments)
    return capsys.readouterr().err.splitlines()[-1]


def needed(stream: pathlib.Path) -> str:
    return parse(stream.read_bytes()).model_id.hex()


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ([], "photos_2"),
        (["--quality=1"], "photos_1"),
        (["--quality=4"], "photos_4"),
        (["--bpp=0.2"], "photos_2"),
        (["--bpp=0.3"], "photos_3"),
        (["--bpp=9"], "photos_4"),
        (["--bpp=0.0001"], "photos_1"),
        (["--model=photos_3"], "photos_3"),
    ],
)
def test_a_picture_is_coded_and_decoded_by_a_model_of_the_package(shelf, picture, capsys, choice, name):
    run(shelf, "encode", picture, *choice)
    said = capsys.readouterr()
    assert said.out.rstrip().endswith(f", {name}")
    assert ("is nearest to" in said.err) == ("--bpp" in str(choice))
    stream = picture.with_suffix(".mscn")
    assert shelf.name_of(needed(stream)) == name
    run(shelf, "decode", stream)
    assert capsys.readouterr().out.rstrip().endswith(f", {name}")
    assert IMAGES.read(picture.with_name("photo.decoded.png")).shape == (20, 13, 3)
    run(shelf, "info", stream)
    assert f"which is {name}" in capsys.readouterr().out


def test_a_model_is_chosen_once(shelf, picture, capsys):
    for choice in (["--quality=1"], ["--bpp=0.2"]):
        assert "leave one out" in refused(capsys, shelf, "encode", picture, "--model=photos_1", *choice)
    assert "leave one out" in refused(capsys, shelf, "encode", picture, "--quality=1", "--bpp=0.2")
    assert "invalid choice: 5" in refused(capsys, shelf, "encode", picture, "--quality=5")
    for rate in ("0", "-1", "nan", "inf", "much"):
        assert "must be a positive number" in refused(capsys, shelf, "encode", picture, f"--bpp={rate}")
    assert not picture.with_suffix(".mscn").exists()


def test_each_file_of_a_folder_is_coded_by_its_kind(shelf, picture, capsys):
    folder = picture.parent
    MAPS.write(folder / "weather.nc", rooms.signal("map"))
    np.save(folder / "vase.npy", rooms.signal("volume"))
    SCENES.write(folder / "car", rooms.signal("scene"))
    (folder / "notes.txt").write_text("no signal")
    with pytest.raises(SystemExit, match="1"):
        run(shelf, "encode", folder, "-o", folder / "streams", "--quality=3")
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "2 of 4 done"
    errors = said.err.splitlines()
    assert "no model for a scene comes with the package; name one by --model" in errors[0]
    assert "the model solids is not shipped yet; train it by `python -m mscn_flax train --shipped solids`" in errors[1]
    names = {path.stem: shelf.name_of(needed(path)) for path in (folder / "streams").iterdir()}
    assert names == {"photo": "photos_3", "weather": "maps"}
    run(shelf, "decode", folder / "streams")
    assert MAPS.read(folder / "streams" / "weather.decoded.nc").shape == (3, 10, 18, 1)
    assert IMAGES.read(folder / "streams" / "photo.decoded.png").shape == (20, 13, 3)


def test_what_no_model_is_there_for_is_refused_at_once(shelf, picture, tmp_path, capsys):
    np.save(tmp_path / "vase.npy", rooms.signal("volume"))
    assert "solids is not shipped yet" in refused(capsys, shelf, "encode", tmp_path / "vase.npy")
    bare = shipped.Shelf(tmp_path / "none")
    assert "photos_2 is not shipped yet" in refused(capsys, bare, "encode", picture)
    assert "photos_1 is not shipped yet" in refused(capsys, bare, "info", "photos_1")
    assert "ends in none of .png" in refused(capsys, shelf, "encode", tmp_path / "absent.txt", status="1")


def test_a_stream_says_which_model_it_needs(shelf, picture, tmp_path, capsys):
    own = rooms.model("image", seed=3)
    own.save(tmp_path / "own.safetensors")
    run(shelf, "encode", picture, "--model", tmp_path / "own.safetensors")
    stream = picture.with_suffix(".mscn")
    said = refused(capsys, shelf, "decode", stream, status="1")
    assert f"{stream}: the stream needs model {own.id[:8]}, name it by --model" in said
    assert "photos_1, photos_2" in said
    said = refused(capsys, shipped.Shelf(tmp_path / "none"), "decode", stream, status="1")
    assert "none is shipped yet" in said
    assert "--cameras needs --model" in refused(capsys, shelf, "decode", stream, "--cameras", tmp_path)
    (tmp_path / "not.mscn").write_text("no stream")
    assert "not an MSCN stream" in refused(capsys, shelf, "decode", tmp_path / "not.mscn", status="1")


def test_models_are_listed_and_explained(shelf, capsys):
    run(shelf, "models")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped.ENTRIES)
    assert "0.19 bpp, 20.50 dB on kodak" in lines[1]
    assert f"{shelf.file('photos_2').stat().st_size:,} bytes" in lines[1]
    assert "CC BY-SA 4.0" in lines[1]
    assert "not judged yet" in lines[4]
    assert "not shipped yet" in lines[5]
    run(shelf, "models", "--json")
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["shipped"] for each in facts] == [True] * 5 + [False]
    run(shelf, "info", "photos_1")
    said = capsys.readouterr().out
    assert "licence    CC BY-SA 4.0" in said
    assert "2 of 16 entries" in said


def test_a_model_of_the_package_is_no_place_for_an_output(shelf, picture, capsys):
    target = shelf.file("photos_4")
    said = refused(capsys, shelf, "encode", picture, "-o", target, "--force")
    assert f"{target} would replace the input" in said


def test_a_broken_card_is_named(shelf, tmp_path, picture, capsys):
    broken = shipped.Shelf(tmp_path)
    broken.file("photos_2").write_bytes(shelf.file("photos_2").read_bytes())
    for content in ("no card", "[]", "{}"):
        broken.card_file("photos_2").write_text(content)
        assert "photos_2.json is no card of a model" in refused(capsys, broken, "models")


@pytest.mark.parametrize("name", shipped.ENTRIES)
def test_what_is_shipped_is_whole_small_and_described(name):
    shelf, entry = shipped.Shelf(), shipped.ENTRIES[name]
    if name not in shelf.names():
        assert not shelf.card_file(name).exists()
        pytest.skip(f"{name} is not shipped yet")
    assert shelf.file(name).stat().st_size <= shipped.MAX_BYTES
    made, card = load_model(shelf.file(name)), shelf.card(name)
    assert made.coder.modality is entry.modality
    judged = {each: card[each] for each in ("judged_on", "rate", "psnr_db", "files", "voxel_accuracy") if each in card}
    assert card == shipped.card(name, made, judged)


@pytest.mark.parametrize("name", shipped.ENTRIES)
def test_every_model_has_a_configuration_that_fits_it(name):
    assert training.train_codec  # Gin knows of it once it is imported.
    configuration.parse(["gin/codec.gin", f"gin/shipped/{name}.gin"], [])
    entry = shipped.ENTRIES[name]
    assert configuration.bound("codec.modulations", "codec", entry.modality.name) > 0
    assert configuration.bound("Training.checkpoint_every", "codec", entry.modality.name) <= 1000
    assert "kodak" not in entry.trained_on


def test_training_a_model_of_the_package_leaves_it_and_its_card(tmp_path, monkeypatch):
    made = tmp_path / "photos"
    made.mkdir()
    for index in range(2):
        PIL.Image.fromarray(np.full((40, 34, 3), 60 * index, np.uint8)).save(made / f"{index}.png")
    monkeypatch.setenv("MSCN_DATA_DIR", str(tmp_path))
    short = ["--gin_param=Training.outer_steps=3", "--gin_param=Siren.width=8", "--gin_param=codec.modulations=8"]
    shelf = shipped.Shelf(tmp_path / "models")
    script = "import pathlib, sys; from mscn_flax.__main__ import main; main(sys.argv[2:], pathlib.Path(sys.argv[1]))"
    short += ["--gin_param=codec.fit_signals=30"]
    rooms.python("-c", script, str(shelf.folder), "train", "--shipped=photos_1", *short)
    rooms.python("-c", script, str(shelf.folder), "train", "--shipped=photos_2", *short)
    assert shelf.names() == ["photos_1", "photos_2"]
    card, found = shelf.card("photos_2"), load_model(shelf.file("photos_2"))
    assert card == shipped.card("photos_2", found, {})
    # Two rates of one network.
    first = load_model(shelf.file("photos_1"))
    jax.tree.map(np.testing.assert_array_equal, found.coder.theta, first.coder.theta)
    np.testing.assert_array_equal(found.coder.mask, first.coder.mask)
    assert (first.quantizer.bits, found.quantizer.bits) == (5, 6)
    assert card["trained_on"] == "2 pictures of photos, 1 of them held out, 3 outer steps, seed 0"
    assert card["held_out"].startswith("1 file: ")
    assert card["command"] == "python -m mscn_flax train --shipped photos_2"


def test_training_data_of_the_package_that_are_missing_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MSCN_DATA_DIR", str(tmp_path))
    said = refused(capsys, shipped.Shelf(tmp_path), "train", "--shipped=photos_1")
    assert "$MSCN_DATA_DIR/photos is missing: 61 photographs" in said
    said = refused(capsys, shipped.Shelf(tmp_path), "train", "--shipped=photos_2")
    assert "photos_2 has the network of photos_1, which is not there yet" in said
    said = refused(capsys, shipped.Shelf(tmp_path), "train", "--shipped=maps", "--data=sphere_fields")
    assert "says itself what is trained on" in said
    assert "name the model file to write by -o" in refused(capsys, shipped.Shelf(tmp_path), "train")


def test_another_rate_of_a_network_needs_what_it_was_trained_with(tmp_path, monkeypatch, capsys):
    """In place of a silently different network."""
    first = rooms.model("image", 8)
    first.save(tmp_path / "first.safetensors")
    command = ["train", "-o", tmp_path / "second.safetensors", "--data=photos", "--network"]
    said = refused(capsys, shipped.Shelf(tmp_path), *command, tmp_path / "first.safetensors")
    assert f"model {first.id[:8]} was trained otherwise" in said
    assert "there is no model" in refused(capsys, shipped.Shelf(tmp_path), *command, tmp_path / "absent.safetensors")
    same = ["train", "-o", tmp_path / "first.safetensors", "--force", "--network", tmp_path / "first.safetensors"]
    assert "would replace the input" in refused(capsys, shipped.Shelf(tmp_path), *same)
    assert "must be a whole number" in refused(capsys, shipped.Shelf(tmp_path), *command[:-1], "--resolution=x")
