"""What commands print as JSON, what they compare with, and how a model does on what was held out."""

import dataclasses
import io
import json
import re

import gin
import numpy as np
import PIL.Image
import pytest
import rooms
import skimage.data

from mscn_flax import __main__ as cli
from mscn_flax import codec, devices, picture_formats, training, training_signals
from mscn_flax.modalities import IMAGES, MODALITIES
from mscn_flax.modalities.values import psnr_8_bit
from mscn_flax.model import load_model


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """JAX has its devices already."""
    monkeypatch.setattr(devices, "choose", lambda: None)
    yield
    gin.clear_config()


@pytest.fixture
def folder(tmp_path):
    """Models of all modalities, and a file of each."""
    for name, modality in MODALITIES.items():
        rooms.model(name).save(tmp_path / f"{name}.safetensors")
        ending = {"image": ".png", "map": ".nc", "volume": ".npy", "scene": ""}[name]
        modality.write(tmp_path / f"{name}{ending}", rooms.signal(name))
    return tmp_path


def told(capsys) -> list[dict]:
    """The lines of JSON that were printed, which hold nothing that JSON does not have."""

    def unknown(name):
        raise AssertionError(name)

    return [json.loads(line, parse_constant=unknown) for line in capsys.readouterr().out.splitlines()]


ERRORS = {"image": {"psnr_db"}, "map": {"rmse_k", "largest_error_k"}, "volume": {"wrong_voxels"}}
ERRORS["scene"] = {"psnr_db", "views"}


@pytest.mark.parametrize("name", MODALITIES)
def test_json_has_what_people_are_told(folder, name, capsys):
    [source] = [path for path in folder.glob(f"{name}*") if path.suffix != ".safetensors"]
    model, stream = folder / f"{name}.safetensors", folder / f"{name}.mscn"
    cli.main(["encode", str(source), "--model", str(model), "--json"])
    [facts] = told(capsys)
    cli.main(["encode", str(source), "--model", str(model), "--force"])
    people = capsys.readouterr().out
    modality, shared, data = MODALITIES[name], load_model(model), stream.read_bytes()
    assert facts["input"] == str(source)
    assert facts["output"] == str(stream)
    assert facts["bytes"] == len(data)
    assert f"{facts['bytes']:,} bytes, {facts['rate']:.4g} {facts['unit']}" in people
    assert facts["model"] == shared.id[:8]
    assert facts["model_name"] is None
    assert facts["kind"] == modality.noun
    assert not facts["lossless"]
    assert facts["seconds"] > 0
    signal = modality.read(source, shared.coder.side)
    errors = modality.errors(signal, codec.decode(shared, data, modality.cameras(signal)))
    assert set(errors) == ERRORS[name]
    assert facts.items() >= errors.items()
    assert modality.described(errors) in people
    cli.main(["info", str(stream), "--json"])
    [of_stream] = told(capsys)
    assert of_stream.items() >= {key: facts[key] for key in ("height", "width", "parts", "rate", "model")}.items()
    cli.main(["decode", str(stream), "--model", str(model), "--json"])
    [decoded] = told(capsys)
    assert decoded["input"] == str(stream)
    assert decoded["output"].startswith(str(folder / f"{name}.decoded"))
    cli.main(["info", str(model), "--json"])
    [of_model] = told(capsys)
    assert of_model["id"] == shared.id
    assert of_model["entries"] == 7


def test_json_names_files_that_cannot_be_coded_and_lossless_ones(folder, capsys):
    (folder / "in").mkdir()
    (folder / "in" / "a.png").write_text("no picture")
    PIL.Image.new("RGB", (300, 200), "teal").save(folder / "in" / "b.png")
    model = ["--model", str(folder / "image.safetensors")]
    with pytest.raises(SystemExit, match="1"):
        cli.main(["encode", str(folder / "in"), *model, "--json", "--compare"])
    bad, flat = told(capsys)
    assert "cannot be read" in bad["error"]
    assert flat["lossless"]
    assert flat["psnr_db"] is None
    assert flat["model"] is None
    assert flat["jpeg"] is None
    cli.main(["encode", str(folder / "in" / "b.png"), *model, "--force"])
    assert re.search(r"300x200 pixels, \d+ bytes, [\d.]+ bpp, lossless, ", capsys.readouterr().out)
    cli.main(["decode", str(folder / "in" / "b.mscn")])  # Needs no model.
    assert (IMAGES.read(folder / "in" / "b.decoded.png") == (0, 128, 128)).all()


@pytest.mark.parametrize("file_format", picture_formats.FORMATS)
def test_the_largest_file_within_a_limit_is_compared_with(file_format):
    picture = skimage.data.astronaut()[:96, :120]
    encoder, qualities = picture_formats._QUALITIES[file_format]
    lengths = {quality: len(encoder(picture, quality)) for quality in qualities}
    for limit in (min(lengths.values()), 2000, 5000, max(lengths.values())):
        found = picture_formats.largest(file_format, picture, limit)
        assert len(found.content) == lengths[found.quality] <= limit
        assert lengths.get(found.quality + 1, limit + 1) > limit
        # Sizes do not rise everywhere.
        assert len(found.content) >= 0.98 * max(length for length in lengths.values() if length <= limit)
    assert picture_formats.largest(file_format, picture, 20) is None


def test_a_picture_is_compared_with_other_formats(folder, capsys):
    PIL.Image.fromarray(skimage.data.astronaut()[:96, :120]).save(folder / "face.png")
    arguments = ["encode", str(folder / "face.png"), "--model", str(folder / "image.safetensors"), "--compare"]
    cli.main(arguments)
    lines = capsys.readouterr().out.splitlines()
    cli.main([*arguments, "--json", "--force"])
    [facts] = told(capsys)
    for line, name in zip(lines[1:], ("jpeg", "webp"), strict=True):
        other, form = facts[name], picture_formats.FORMATS[name]
        assert other["bytes"] <= facts["bytes"]
        assert f"  {name}: {other['bytes']:,} bytes, PSNR {other['psnr_db']:.2f} dB" in line
        content = picture_formats._QUALITIES[name][0](IMAGES.read(folder / "face.png"), other["quality"])
        assert len(content) == other["bytes"]
        assert psnr_8_bit(form(content), IMAGES.read(folder / "face.png")) == pytest.approx(other["psnr_db"])
        with PIL.Image.open(io.BytesIO(content)) as opened:
            assert opened.size == (120, 96)


def test_other_signals_are_compared_with_nothing(folder, capsys):
    cli.main(["encode", str(folder / "map.nc"), "--model", str(folder / "map.safetensors"), "--compare"])
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 1), (10, 1), (25, 2)])
def test_whole_pictures_are_held_out_of_a_folder(tmp_path, count, held):
    for index in range(count):
        PIL.Image.fromarray(np.full((33, 32, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    found = training_signals.patches_of(tmp_path, seed=0)
    assert all(part.base is None for part in [*found.signals, *found.larger])  # No picture stays whole in memory.
    trained = {int(patch[0, 0, 0]) for patch in found.signals}
    held_out = [int(picture[0, 0, 0]) for picture in found.held_out]
    assert len(held_out) == held
    assert trained | set(held_out) == set(range(count))
    assert not trained & set(held_out)
    assert f"{count} pictures of {tmp_path.name}, {held} of them held out" == found.name
    assert [int(picture[0, 0, 0]) for picture in training_signals.patches_of(tmp_path, seed=0).held_out] == held_out


@pytest.mark.parametrize("name", MODALITIES)
def test_held_out_signals_are_coded_as_files(name):
    shared, modality = rooms.model(name), MODALITIES[name]
    signals = [rooms.signal(name, seed) for seed in (4, 5)]
    said = training.judged(shared, iter(signals))
    streams = [codec.encode(shared, signal) for signal in signals]
    decoded = [codec.decode(shared, *pair) for pair in zip(streams, map(modality.cameras, signals), strict=True)]
    errors = [modality.errors(*pair) for pair in zip(signals, decoded, strict=True)]
    mean = {key: np.mean([each[key] for each in errors]) for key in errors[0]}
    assert said.startswith("2 files: ")
    assert said.endswith(f"{modality.rate}, {modality.described(mean)}")
    points = {"image": 260, "map": 540, "volume": 512, "scene": 64}[name]
    assert f"{8 * sum(map(len, streams)) / (2 * points):.4g} {modality.rate}" in said
    assert training.judged(shared, []) == "nothing"
    assert training.judged(shared, [np.zeros(3)]).startswith("not judged: ")


def test_the_rate_of_what_was_held_out_stays_with_the_model_and_leaves_its_id(tmp_path, capsys):
    for index in range(2):
        noise = np.random.default_rng(index).integers(0, 256, (40, 36, 3)).astype(np.uint8)
        PIL.Image.fromarray(noise).save(tmp_path / f"{index}.png")
    path = tmp_path / "m.safetensors"
    small = ["--modulations=8", "--gin_param=Siren.width=8", "--gin_param=codec.fit_signals=30"]
    rooms.train("-o", str(path), "--pictures", str(tmp_path), *small, "--gin_param=Training.outer_steps=3")
    shared = load_model(path)
    assert re.fullmatch(r"1 file: [\d.]+ bpp, PSNR [\d.]+ dB", shared.held_out)
    assert training.judged(shared, training_signals.patches_of(tmp_path, seed=0).held_out) == shared.held_out
    assert dataclasses.replace(shared, held_out="").id == shared.id
    cli.main(["info", str(path)])
    assert f"held out   {shared.held_out}" in capsys.readouterr().out
