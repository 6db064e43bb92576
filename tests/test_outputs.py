"""Which file an input becomes, and how it is written: whole, as open to others as it should be, or not at all."""

import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mscn_flax import __main__ as cli
from mscn_flax import atomic, devices, outputs
from mscn_flax.inputs import check_file
from mscn_flax.modalities import IMAGES, SCENES


def paired(inputs: list[pathlib.Path], output: str | None, modality=IMAGES, **more) -> list[tuple[str, str]]:
    found = outputs.pairs(inputs, output, lambda _: ".mscn", modality.takes, "an input", **more)
    return [(source.name, str(target)) for source, target in found]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """Where names are relative to."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_slash_asks_for_a_folder(folder):
    assert paired([pathlib.Path("a.png")], "new/") == [("a.png", "new/a.mscn")]
    assert paired([pathlib.Path("a.png")], "new") == [("a.png", "new")]
    (folder / "new").mkdir()
    assert paired([pathlib.Path("a.png")], "new") == [("a.png", "new/a.mscn")]
    (folder / "file").touch()
    with pytest.raises(ValueError, match="file is a file, no folder"):
        paired([pathlib.Path("a.png")], "file/")
    # What is decoded of a scene is a folder itself.
    stream = pathlib.Path("car.mscn")
    assert paired([stream], "seen/", replaceable=SCENES.replaceable) == [("car.mscn", "seen")]


def test_what_is_given_twice_is_done_once(folder):
    assert paired([pathlib.Path("a.png"), pathlib.Path("a.png")], None) == [("a.png", "a.mscn")]
    assert paired([pathlib.Path("a.png"), folder / "b" / ".." / "a.png"], None) == [("a.png", "a.mscn")]
    (folder / "one").mkdir()
    (folder / "one" / "a.png").touch()
    both = [pathlib.Path("one/a.png"), pathlib.Path("one")]
    assert paired(both, "out") == paired(both[::-1], "out") == [("a.png", "out/a.mscn")]
    with pytest.raises(ValueError, match="would both become"):
        paired([pathlib.Path("a.png"), pathlib.Path("a.jpg")], None)


def test_a_folder_keeps_its_whole_name(folder, monkeypatch):
    for name in ("car.v1", "car.v2"):
        (folder / name).mkdir()
        (folder / name / "intrinsics.txt").touch()
    found = paired([folder / "car.v1", folder / "car.v2"], "out", SCENES)
    assert found == [("car.v1", "out/car.v1.mscn"), ("car.v2", "out/car.v2.mscn")]
    monkeypatch.chdir(folder / "car.v1")
    assert paired([pathlib.Path()], None, SCENES) == [("", str(folder / "car.v1.mscn"))]
    (folder / "car.v1" / "rgb").mkdir()
    monkeypatch.chdir(folder / "car.v1" / "rgb")
    assert paired([pathlib.Path("..")], None, SCENES) == [("..", str(folder / "car.v1.mscn"))]


def test_a_folder_may_be_called_as_a_picture_is(folder):
    (folder / "d.png").mkdir()
    (folder / "d.png" / "a.png").touch()
    assert paired([folder / "d.png"], "out") == [("a.png", "out/a.mscn")]


def test_what_is_no_file_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, says in ((tmp_path / "x", "there is no file"), (tmp_path, "a folder"), (tmp_path / "pipe", "a pipe")):
        with pytest.raises(ValueError, match=says):
            check_file(path)


@pytest.fixture
def full_disk():
    """No file of this process can be longer than 2 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("ending", IMAGES.writable)
def test_a_picture_that_the_disk_has_no_room_for_leaves_the_one_before(ending, tmp_path, request):
    path = tmp_path / f"picture{ending}"
    small, large = (np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8) for side in (8, 96))
    IMAGES.write(path, small)
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="File too large") as raised:
        IMAGES.write(path, large)
    assert raised.value.errno == errno.EFBIG
    np.testing.assert_array_equal(IMAGES.read(path), small)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_as_open_as_the_user_has_it(tmp_path, monkeypatch):
    path = tmp_path / "a"

    def mode() -> int:
        with atomic.replaced(path) as out:
            out.write("text")
        return path.stat().st_mode & 0o777

    monkeypatch.setattr(atomic, "_UMASK", 0o027)
    assert mode() == 0o640
    path.chmod(0o600)
    assert mode() == 0o600


def test_a_program_that_is_ended_leaves_no_unfinished_file(tmp_path, monkeypatch, capsys):
    def half_written():
        with atomic.replaced(tmp_path / "a") as out:
            out.write("half")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(devices, "choose", lambda: None)  # JAX has its devices already.
    try:
        cli.main(["models"])
        with pytest.raises(SystemExit, match="143"):
            half_written()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_seen_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-u", "-m", "mscn_flax", "models"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""
