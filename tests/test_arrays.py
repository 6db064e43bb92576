"""Exported data sets: the same signals in the same order, read where TFDS is not installed."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mscn_flax import data
from mscn_flax.data import arrays
from mscn_flax.data.__main__ import main


@pytest.mark.parametrize(("name", "resolution"), [("photos", 16), ("solids", 8), ("balls", 8)])
def test_exported_signals_are_the_data_sets(name, resolution, tmp_path):
    main(["export", name, "--resolution", str(resolution), "--split", "validation", "-o", str(tmp_path / "arrays")])
    prepared = data.load(name, "validation", resolution=resolution)
    exported = data.load(name, "validation", resolution=resolution, data_dir=str(tmp_path))
    assert isinstance(exported, arrays.Arrays)
    assert (exported.name, exported.source, len(exported)) == (prepared.name, prepared.source, len(prepared))
    for left, right in zip(exported, prepared, strict=True):
        np.testing.assert_equal(left, right)


def test_a_part_of_a_data_set_is_named_as_one(tmp_path):
    main(["export", "photos", "--resolution", "16", "--split", "test", "--limit", "7", "-o", str(tmp_path / "arrays")])
    exported = data.load("photos", "test", resolution=16, data_dir=str(tmp_path))
    assert (exported.name, len(exported)) == ("photos, the first 7", 7)
    assert len(data.load("photos", "train", resolution=16, data_dir=str(tmp_path))) > 7


def test_what_is_there_is_replaced_only_when_that_is_asked_for(tmp_path, capsys):
    (tmp_path / "photos-16").mkdir()
    (tmp_path / "photos-16" / "test.npz").write_bytes(b"mine")
    arguments = ["export", "photos", "--resolution=16", "--split=test", "--limit=2", "-o", str(tmp_path)]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "test.npz exists already" in capsys.readouterr().err
    assert (tmp_path / "photos-16" / "test.npz").read_bytes() == b"mine"
    main([*arguments, "--force"])
    assert len(arrays.read(tmp_path / "photos-16" / "test.npz")) == 2


def test_pictures_of_any_sizes_are_kept_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(256, size=(*size, 3), dtype=np.uint8) for size in ((5, 9), (32, 32), (1, 3))]
    assert arrays.write(tmp_path / "x.npz", arrays.Arrays("whole", "real", pictures)) == 3
    for left, right in zip(arrays.read(tmp_path / "x.npz"), pictures, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut short"])
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz has no exported signals: .*export it again"):
        arrays.read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["photoz"], "no data set 'photoz'"), (["photos", "--limit=0"], "0"), (["photos", "--resolution=0"], "0")],
)
def test_a_mistake_ends_in_one_line(arguments, says, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["export", *arguments, "-o", str(tmp_path)])
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert says in message


WITHOUT_TFDS = """
import sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None
from mscn_flax import data
from mscn_flax.train import batches
images = data.load("photos", "test", resolution=16)
print(len(images), images.source, batches(images, 4, 0)[3].shape)
try:
    data.load("photos", "train", resolution=16)
except data.MissingDataError as error:
    print(error)
"""


def test_exported_data_are_read_without_tfds(tmp_path):
    main(["export", "photos", "--resolution", "16", "--split", "test", "-o", str(tmp_path / "arrays")])
    environment = os.environ | {"MSCN_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TFDS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown, refused = done.stdout.splitlines()
    assert shown == "240 standin (4, 16, 16, 3)"
    assert "photos-16/train.npz" in refused
    assert "tensorflow_datasets" in refused
    assert "mscn_flax.data export photos" in refused


WITHOUT_LARGER = """
import sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None
from mscn_flax import training_signals
found = training_signals.signals_of("photos", 16)
print(len(found.signals), len(found.held_out), len(found.larger))
"""


def test_a_codec_is_trained_on_exported_patches_alone(tmp_path):
    """Without TFDS, and without the validation split and the larger crops, which nobody has exported."""
    arguments = ["--resolution", "16", "--split", "train", "--limit", "50"]
    main(["export", "photos", *arguments, "-o", str(tmp_path / "arrays")])
    environment = os.environ | {"MSCN_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LARGER], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["50", "0", "0"]
