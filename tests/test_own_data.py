"""Data sets made of files that people bring, and what is said where there are none."""

import pathlib
import re

import numpy as np
import pytest
import rooms

from mscn_flax import data
from mscn_flax.data.volumes import KAYKIT, split_of
from mscn_flax.modalities import MAPS, SCENES, VOXELS
from mscn_flax.modalities.maps import to_kelvin


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("era5", "cds.climate.copernicus.eu"),
        ("shapenet10", "shapenet.org"),
        ("srn_cars", "cars_train"),
        ("kaykit_voxels", "kaykit_voxels_64.npz"),
        ("kaykit_scenes", "kaykit_multiview_128.npz"),
    ],
)
def test_missing_data_name_the_remedy_and_a_stand_in(name, says, tmp_path):
    known = data.DATA_SETS[name]
    with pytest.raises(data.MissingDataError, match=says) as raised:
        data.load(name, "train", resolution=known.resolution, data_dir=str(tmp_path))
    assert "\n" not in str(raised.value)
    standin = str(raised.value).rsplit("`", 2)[1]
    assert data.DATA_SETS[standin].embedded


def test_folders_of_ones_own_become_data_sets(tmp_path):
    for seed, split in enumerate(("train", "validation", "test")):
        MAPS.write(tmp_path / "era5" / split / "a.nc", rooms.signal("map", seed))
        VOXELS.write(tmp_path / "shapenet10" / split / "chair" / "a.npy", rooms.signal("volume", seed))
        cars = tmp_path / "srn_cars" / f"cars_{split.replace('validation', 'val')}"
        SCENES.write(cars / "s", rooms.signal("scene", seed))
        SCENES.write(cars / ".trash", rooms.signal("scene", seed))
    maps = data.load("era5", "test", resolution=10, data_dir=str(tmp_path))
    assert (maps.name, maps.source, len(maps)) == ("era5", "real", 3)
    np.testing.assert_allclose(maps[1], rooms.signal("map", 2)[1], atol=2e-7)
    volumes = data.load("shapenet10", "validation", resolution=8, data_dir=str(tmp_path))
    np.testing.assert_array_equal(volumes[0], rooms.signal("volume", 1))
    scenes = data.load("srn_cars", "train", resolution=4, data_dir=str(tmp_path))
    assert len(scenes) == 1
    assert scenes[0]["views"].shape == (5, 4, 4, 3)
    assert scenes.source == "real"


def test_no_kind_of_object_is_in_two_splits(data_dir):
    with np.load(pathlib.Path(data_dir) / KAYKIT) as arrays:
        names = list(map(str, arrays["name"]))
    kinds = {}
    for name in names:
        kinds.setdefault(split_of(name, names), set()).add(name.split("_")[0])
    assert not kinds["train"] & kinds["test"]
    assert not kinds["train"] & kinds["validation"]
    assert not kinds["validation"] & kinds["test"]


def test_real_maps_stand_beside_those_they_are_trained_on(data_dir):
    train = data.load("era5", "train", resolution=46, data_dir=data_dir)
    test = data.load("era5", "test", resolution=46, data_dir=data_dir)
    assert (train.name, train.source, len(train)) == ("cmip6", "standin", 48)
    assert (test.name, test.source, len(test)) == ("era5", "subset", 13)
    # January in both: colder in the north; temperatures agree to a few degrees on average.
    january = to_kelvin(test[1][..., 0])
    assert january[5].mean() < january[40].mean()
    assert np.mean(january) == pytest.approx(np.mean(to_kelvin(train[0][..., 0])), abs=4)


def test_another_folder_of_local_copies_is_another_data_set(tmp_path, monkeypatch):
    for seed, name in enumerate("ab"):
        for split in ("train", "validation", "test"):
            MAPS.write(tmp_path / name / "era5" / split / "a.nc", rooms.signal("map", seed))
    found = []
    for name in "aba":
        monkeypatch.setenv("MSCN_DATA_DIR", str(tmp_path / name))
        found.append(data.load("era5", "test", resolution=10)[0])
    assert not np.array_equal(found[0], found[1])
    assert found[0] is found[2] or np.array_equal(found[0], found[2])


class Made(data.Signals):
    def _read(self, record):
        return record


@pytest.mark.parametrize(
    ("signals", "says"),
    [
        ([np.zeros((8, 8, 1), np.uint8)] * 3, "has a signal of 8x8x1; wanted: 8x8x3"),
        ([np.zeros((8, 9, 3), np.uint8)] * 3, "has a signal of 8x9x3"),
        ([np.zeros((8, 8), np.uint8)] * 3, "has a signal of 8x8; wanted"),
        ([np.full((8, 8, 3), 255.0, np.float32)] * 3, "float32 from 255 to 255; wanted: uint8, or floats from 0 to 1"),
        ([np.full((8, 8, 3), np.nan, np.float32)] * 3, "from nan to nan"),
        ([np.zeros((8, 8, 3), np.int64)] * 3, "int64 from 0 to 0"),
        ([], "has 0 signals"),
        ("synthetic", "of source 'synthetic'; wanted: some, of real, subset, standin"),
    ],
)
def test_signals_that_are_not_as_they_are_said_to_be_are_refused(signals, says, monkeypatch):
    def read(split, resolution, folder):
        if isinstance(signals, str):
            return Made("mine", signals, [np.zeros((8, 8, 3), np.uint8)])
        return Made("mine", "real", signals)

    monkeypatch.setitem(data.DATA_SETS, "mine", data.DataSet(read, resolution=8, embedded=True))
    with pytest.raises(ValueError, match=re.escape(says)):
        data.load("mine", "train", resolution=8)
