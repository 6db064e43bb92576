"""The command line `python -m mscn_flax`, in this process; the pages' commands are executed in test_readme."""

import errno
import os
import pathlib
import shutil

import gin
import numpy as np
import PIL.Image
import pytest
import rooms

from mscn_flax import __main__ as cli
from mscn_flax import devices
from mscn_flax.modalities import IMAGES

TRAIN = ["--modulations=8", "--gin_param=codec/Training.outer_steps=6", "--gin_param=codec/Siren.width=8"]
TRAIN += ["--gin_param=codec/Siren.depth=3", "--gin_param=codec.fit_signals=20", "--gin_param=codec.encoding_steps=5"]


@pytest.fixture(scope="module", autouse=True)
def _devices():
    """JAX has its devices already."""
    patch = pytest.MonkeyPatch()
    patch.setattr(devices, "choose", lambda: None)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _unconfigured():
    yield
    gin.clear_config()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        image = np.kron(rng.integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        PIL.Image.fromarray(image).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def trained(folder) -> pathlib.Path:
    path = folder / "model.safetensors"
    rooms.train("-o", str(path), "--pictures", str(folder), *TRAIN)
    return path


def test_a_picture_comes_back_from_its_stream(folder, trained, tmp_path, capsys):
    stream, out = tmp_path / "a.mscn", tmp_path / "a.png"
    cli.main(["encode", str(folder / "a.png"), "-o", str(stream), "--model", str(trained)])
    said = capsys.readouterr().out
    assert f"{stream.stat().st_size:,} bytes" in said
    assert "bpp" in said
    assert "PSNR" in said
    cli.main(["decode", str(stream), "-o", str(out), "--model", str(trained)])
    assert IMAGES.read(out).shape == (40, 48, 3)
    capsys.readouterr()
    cli.main(["info", str(trained)])
    assert "5 inner steps" in capsys.readouterr().out
    cli.main(["info", str(stream)])
    assert "48x40 pixels in 4 patches" in capsys.readouterr().out
    cli.main(["info", str(trained)])
    said = capsys.readouterr().out
    assert "8 of 16 entries" in said
    assert "2 pictures" in said


def test_a_folder_is_coded_whole(folder, trained, tmp_path):
    cli.main(["encode", str(folder), "-o", str(tmp_path / "s"), "--model", str(trained)])
    cli.main(["decode", str(tmp_path / "s"), "-o", str(tmp_path / "d"), "--model", str(trained)])
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["a.decoded.png", "b.decoded.png"]


@pytest.fixture
def pictures(trained, folder, tmp_path, monkeypatch) -> pathlib.Path:
    """The current folder: two pictures, a stream of each, the model and links to them."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(trained, "m")
    for name in ("a.png", "b.png"):
        shutil.copy(folder / name, name)
    cli.main(["encode", "a.png", "b.png", "--model", "m"])
    pathlib.Path("soft.png").symlink_to("a.png")
    os.link("a.png", "hard.png")
    pathlib.Path("there").symlink_to(".")
    return tmp_path


def _contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_names_of_decoded_files_are_their_own(pictures):
    before = _contents(pictures)
    cli.main(["decode", "a.mscn", "--model", "m"])
    cli.main(["decode", ".", "-o", "new", "--model", "m"])
    after = _contents(pictures)
    assert after.items() > before.items()
    assert {path.name for path in after.keys() - before.keys()} == {"a.decoded.png"}
    assert sorted(path.name for path in (pictures / "new").iterdir()) == ["a.decoded.png", "b.decoded.png"]


@pytest.mark.parametrize(
    "command",
    ["encode a.png", "encode a.png b.png -o .", "decode a.mscn -o b.png", "decode a.mscn -o link.png", "train -o m"],
)
def test_what_exists_is_replaced_by_force_alone(pictures, capsys, command):
    if "link" in command:
        pathlib.Path("link.png").symlink_to("nowhere.png")
    if "encode" in command:
        pathlib.Path("a.mscn").write_bytes(b"of before")
    command = [*command.split(), *(["--seed=1", "--pictures=.", *TRAIN] if "train" in command else ["--model", "m"])]
    before = _contents(pictures)
    with pytest.raises(SystemExit, match="2"):
        cli.main(command)
    _says(capsys, "exists already; name another output, or replace it by --force")
    assert _contents(pictures) == before
    gin.clear_config()
    if command[0] == "train":
        rooms.train(*command[1:], "--force", folder=pictures)
    else:
        cli.main([*command, "--force"])
    assert _contents(pictures) != before


@pytest.mark.parametrize(
    "command",
    [
        "encode a.png -o a.png",
        "encode a.png -o soft.png",
        "encode soft.png -o a.png",
        "encode a.png -o hard.png",
        "encode a.png -o there/a.png",
        "encode a.png -o there/there/soft.png",
        "encode a.png -o m",
        "encode a.png b.mscn -o .",
        "encode a.png b.mscn -o there",
        "decode stream.png -o stream.png",
        "train -o a.png --pictures .",
        "train -o there/soft.png --pictures there",
    ],
)
def test_an_input_is_never_replaced(pictures, capsys, command):
    """Not by force, not by another name of the file, and not in a batch whose other outputs would be allowed."""
    shutil.copy("a.mscn", "stream.png")
    before = _contents(pictures)
    command = [*command.split(), *(TRAIN if "train" in command else ["--model", "m"])]
    for force in ([], ["--force"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main([*command, *force])
        gin.clear_config()
        _says(capsys, "would replace the input")
    assert _contents(pictures) == before


def test_two_inputs_with_one_output_are_both_named(pictures, capsys):
    PIL.Image.open("a.png").save("a.jpg")
    for command in (["encode", "b.png", "a.png", "a.jpg"], ["encode", "a.png", "there/a.jpg"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main([*command, "--model", "m", "--force"])
        _says(capsys, f"a.png and {command[-1]} would both become ")


def test_a_folder_is_no_place_for_a_file(pictures, capsys):
    (pictures / "full.png").mkdir()
    (pictures / "full.png" / "a.decoded.png").mkdir()
    for command in (["train", "-o", "full.png", *TRAIN], ["decode", "a.mscn", "-o", "full.png", "--model", "m"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main([*command, "--force"])
        _says(capsys, "exists already; name another output")


def _saved(tmp_path, name, array, mode=None, **options):
    path = tmp_path / name
    PIL.Image.fromarray(array).convert(mode).save(path, **options) if mode else PIL.Image.fromarray(array).save(path)
    return path


RGB = np.full((9, 7, 3), 80, np.uint8)


@pytest.mark.parametrize(
    ("name", "array", "mode"),
    [
        ("cmyk.jpg", RGB, "CMYK"),
        ("grey.png", RGB, "L"),
        ("palette.png", RGB, "P"),
        ("opaque.png", RGB, "RGBA"),
        ("photo.webp", RGB, None),
        ("photo.tif", RGB, None),
        ("1x1.png", RGB[:1, :1], None),
    ],
)
def test_pictures_of_many_kinds_are_coded(trained, tmp_path, name, array, mode):
    path = _saved(tmp_path, name, array, mode)
    cli.main(["encode", str(path), "-o", str(tmp_path / "s.mscn"), "--model", str(trained)])
    cli.main(["decode", str(tmp_path / "s.mscn"), "-o", str(tmp_path / "o.tif"), "--model", str(trained)])
    assert IMAGES.read(tmp_path / "o.tif").shape == array.shape


def _says(capsys, message):
    """Asserts that the last words were this error, in one line."""
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: ")
    assert message in last


def _bad(tmp_path):
    clear = np.full((9, 7, 4), 80, np.uint8)
    (tmp_path / "text.png").write_text("no picture")
    frames = [PIL.Image.fromarray(RGB), PIL.Image.fromarray(RGB // 2)]
    frames[0].save(tmp_path / "film.tif", save_all=True, append_images=frames[1:])
    return {
        "absent": (tmp_path / "absent.png", "there is no file"),
        "16 bits": (_saved(tmp_path, "deep.png", np.zeros((9, 7), np.uint16)), "more than 8 bits"),
        "float": (_saved(tmp_path, "float.tif", np.zeros((9, 7), np.float32)), "more than 8 bits"),
        "transparent": (_saved(tmp_path, "clear.png", clear), "transparent"),
        "text": (tmp_path / "text.png", "cannot be read"),
        "frames": (tmp_path / "film.tif", "2 frames"),
    }


@pytest.mark.parametrize("name", ["absent", "16 bits", "float", "transparent", "text", "frames"])
def test_what_cannot_be_coded_is_refused_in_one_line(trained, tmp_path, name, capsys):
    path, message = _bad(tmp_path)[name]
    with pytest.raises(SystemExit, match="1"):
        cli.main(["encode", str(path), "-o", str(tmp_path / "s.mscn"), "--model", str(trained)])
    _says(capsys, message)
    assert not (tmp_path / "s.mscn").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encode", "a.png", "--model", "absent"], "there is no model"),
        (["decode", "a.png", "-o", "out.jpg", "--model", "model.safetensors"], "must end in one of"),
        (["info", "absent"], "there is no file"),
        (["train", "-o", "x", "--pictures", "model.safetensors"], "no picture"),
        (["train", "-o", "x", "--bits=13", "--gin_param=codec/Training.outer_steps=6"], "1 to 12 bits"),
        (["train", "-o", "x", "--gin_param=codec.speed=3"], "doesn't have a parameter"),
    ],
)
def test_wrong_arguments_end_in_one_line(folder, trained, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    _says(capsys, message)


def _codes(arguments: list[str]) -> int:
    """The exit status of a command."""
    try:
        cli.main(arguments)
    except SystemExit as error:
        return error.code
    return 0


def test_a_batch_goes_on_after_files_that_cannot_be_coded(folder, trained, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "in", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "in" / "0.png").write_text("no picture")
    (tmp_path / "in" / "aa.JPG").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "in" / "._a.png").write_text("a note")
    model = ["--model", str(trained)]
    assert _codes(["encode", str(tmp_path / "in"), "absent.png", "-o", str(tmp_path / "s"), *model]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "2 of 5 done"
    errors = said.err.splitlines()
    assert len(errors) == 3
    assert all(name in line for name, line in zip(("0.png", "aa.JPG", "absent.png"), errors, strict=True))
    streams = tmp_path / "s"
    assert sorted(path.name for path in streams.iterdir()) == ["a.mscn", "b.mscn"]
    (streams / "a.mscn").write_bytes((streams / "a.mscn").read_bytes()[:-1])
    assert _codes(["decode", str(streams), "-o", str(tmp_path / "out"), *model]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "1 of 2 done"
    assert f"error: {streams / 'a.mscn'}: the stream is truncated" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.decoded.png"]


def test_an_interruption_ends_in_one_line(folder, trained, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(IMAGES, "errors", interrupted)
    assert _codes(["encode", str(folder), "-o", str(tmp_path / "s"), "--model", str(trained)]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("unnamed", ["fsync", "replace"])
def test_errors_of_the_system_name_the_output(folder, trained, tmp_path, capsys, monkeypatch, unnamed):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stream = tmp_path / "a.mscn"
    with monkeypatch.context() as patch:
        patch.setattr(os, unnamed, full)
        assert _codes(["encode", str(folder / "a.png"), "-o", str(stream), "--model", str(trained)]) == 1
        assert capsys.readouterr().err == f"error: {stream}: No space left on device\n"
    assert not list(tmp_path.iterdir())


def test_control_characters_of_names_are_not_printed(folder, trained, tmp_path, capsys):
    path = tmp_path / "a\x1b[2J\n.png"
    shutil.copy(folder / "a.png", path)
    assert _codes(["encode", str(path), "--model", str(trained)]) == 0
    (tmp_path / "b\x1b.png").write_text("no picture")
    assert _codes(["encode", str(tmp_path / "b\x1b.png"), "--model", str(trained)]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert len(said.out.splitlines()) == len(said.err.splitlines()) == 1


def test_a_device_is_not_replaced(folder, trained, capsys):
    arguments = ["encode", str(folder / "a.png"), "-o", os.devnull, "--model", str(trained), "--force"]
    assert _codes(arguments) == 2
    _says(capsys, "exists already; name another output")
