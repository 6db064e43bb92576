import collections

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mscn_flax import data
from mscn_flax.data import registry
from mscn_flax.data.photos import PATCHES, PHOTOGRAPHS


def photos(split, resolution=32):
    return data.load("photos", split, resolution=resolution)


def test_no_photograph_is_in_two_splits():
    seen = {
        split: collections.Counter(photos(split).records[i]["photograph"] for i in range(len(photos(split))))
        for split in ("train", "validation", "test")
    }
    assert not set(seen["train"]) & set(seen["test"])
    assert not set(seen["train"]) & set(seen["validation"])
    assert not set(seen["validation"]) & set(seen["test"])
    for split, count in PATCHES.items():
        assert sum(seen[split].values()) == count
        assert set(seen[split]) == {name.encode() for name in PHOTOGRAPHS[split]}


@pytest.mark.parametrize("resolution", [16, 48])
def test_photos_come_at_any_resolution(resolution):
    images = photos("test", resolution)
    assert len(images) == PATCHES["test"]
    assert images[3].shape == (resolution, resolution, 3)
    assert images[3].dtype == np.uint8
    assert images.source == "standin"


def test_patches_are_real_pictures():
    # Neighbouring pixels agree far better than distant ones: not noise, not flat.
    pixels = np.stack([photos("test")[i] for i in range(100)]).astype(float)
    near = np.mean(np.abs(pixels[:, 1:] - pixels[:, :-1]))
    far = np.mean(np.abs(pixels[:, 16:] - pixels[:, :-16]))
    assert 1 < near < 0.7 * far


def test_real_cifar10_subset(data_dir):
    splits = {s: data.load("cifar10", s, resolution=32, data_dir=data_dir) for s in ("train", "validation", "test")}
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [4750, 250, 1000]
    assert {s.source for s in splits.values()} == {"subset"}
    seen = {name: {images[i].tobytes() for i in range(len(images))} for name, images in splits.items()}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]


@pytest.mark.parametrize("name", ["cifar10", "celeb_a_hq"])
def test_missing_data_says_what_to_do(name, tmp_path):
    with pytest.raises(data.MissingDataError) as caught:
        data.load(name, "train", resolution=data.DATA_SETS[name].resolution, data_dir=str(tmp_path))
    message = str(caught.value)
    assert "\n" not in message
    assert "MSCN_DATA_DIR" in message
    assert "stand-in `photos`" in message


def test_a_damaged_local_copy_is_refused(tmp_path):
    (tmp_path / "cifar10").mkdir()
    wrong = np.zeros((4, 28, 28, 3), np.uint8)
    arrays = {f"{kind}_{split}": wrong if kind == "x" else np.zeros(4) for kind in "xy" for split in ("train", "test")}
    np.savez(tmp_path / "cifar10" / "cifar10_subset.npz", **arrays)
    with pytest.raises(ValueError, match=r"28.*expected uint8 \[n, 32, 32, 3\]"):
        data.load("cifar10", "train", resolution=32, data_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cifar11", "train", 32), "balls, celeb_a, celeb_a_hq, cifar10"),
        (("photos", "training", 32), "train, validation, test"),
        (("cifar10", "train", 64), "32x32"),
    ],
)
def test_wrong_names_end_with_the_valid_ones(arguments, says):
    name, split, resolution = arguments
    with pytest.raises(ValueError, match=says):
        data.load(name, split, resolution=resolution)


def test_signed_distances_come_at_any_resolution_and_only_once_per_split():
    coarse, fine = (data.load("sdf2d", "validation", resolution=side) for side in (16, 48))
    assert len(coarse) == len(fine) == 50
    assert coarse[3].shape == (16, 16, 1)
    assert coarse[3].dtype == np.float32
    # The same shapes at every resolution: a pixel's middle is one of the finer pixels' middles.
    np.testing.assert_array_equal(coarse[3], fine[3][1::3, 1::3])
    test = data.load("sdf2d", "test", resolution=16)
    seen = {image.tobytes() for images in (coarse, test) for image in images}
    assert len(seen) == 150
    for image in coarse:
        assert 0 < image.min() < 0.5 < image.max() < 1


def test_nobodys_face_is_in_two_splits(data_dir):
    persons = {}
    for split in ("train", "validation", "test"):
        images = data.load("faces", split, resolution=178, data_dir=data_dir)
        persons[split] = {images.records[i]["person"] for i in range(len(images))}
        assert images[0].shape == (178, 178, 3)
        assert images.source == "standin"
    assert sum(map(len, persons.values())) == len(set.union(*persons.values()))
    assert len(persons["test"]) > len(persons["validation"]) > 5


def test_glyphs_are_other_shapes(data_dir):
    with_glyphs = data.load("sdf2d_glyphs", "validation", resolution=16, data_dir=data_dir)
    without = data.load("sdf2d", "validation", resolution=16)
    assert with_glyphs.name == "sdf2d_glyphs"
    assert not np.array_equal(with_glyphs[0], without[0]) or not np.array_equal(with_glyphs[1], without[1])


@pytest.mark.parametrize("name", ["celeb_a", "imagenette", "faces", "sdf2d_glyphs"])
def test_what_is_not_here_is_named_with_its_remedy(name, tmp_path):
    with pytest.raises(data.MissingDataError, match=r"Without: use"):
        data.load(name, "train", resolution=64, data_dir=str(tmp_path))


def test_pictures_are_resized_and_cut_to_their_middle():
    wide = np.zeros((100, 200, 3), np.uint8)
    wide[:, 90:110] = 255
    images = data.Images("x", "real", [{"image": wide}], 20, shorter_side=50, centre_crop=40)
    picture = images[0]
    assert picture.shape == (20, 20, 3)
    # The middle tenth of 200 columns is 5 of the 20 that are left of 100 after the cut.
    assert picture[:, 8:12].min() == 255
    assert picture[:, :6].max() == picture[:, 14:].max() == 0


class Small(tfds.core.GeneratorBasedBuilder):
    """Forty pictures per split, of the size and in the splits that a data set of TFDS has; the middle is white."""

    VERSION = tfds.core.Version("1.0.0")
    shape: tuple[int, int, int]
    splits: tuple[str, ...]

    def _info(self):
        features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(None, None, 3))})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(index) for index, split in enumerate(self.splits)}

    def _generate_examples(self, index):
        for number in range(40):
            image = np.zeros(self.shape, np.uint8)
            middle = tuple(slice(extent // 2 - 10, extent // 2 + 10) for extent in self.shape[:2])
            image[middle] = 100 + 40 * index + number
            yield number, {"image": image}


@pytest.mark.parametrize(
    ("name", "shape", "splits", "counts", "brightest"),
    [
        ("celeb_a", (218, 178, 3), ("train", "validation", "test"), (40, 40, 40), (100, 140, 180)),
        # The test images are TFDS's validation split; ours is held out from the training split.
        ("imagenette", (300, 400, 3), ("train", "validation"), (38, 2, 40), (100, 100, 140)),
    ],
)
def test_downloaded_data_sets_are_cut_and_split(name, shape, splits, counts, brightest, tmp_path, monkeypatch):
    small = type(f"Small{name.title()}", (Small,), {"__module__": __name__, "shape": shape, "splits": splits})
    monkeypatch.setattr(
        tfds, "builder", lambda config, **kwargs: small(data_dir=tmp_path, **{"file_format": "array_record"})
    )
    small(data_dir=tmp_path).download_and_prepare(file_format="array_record")
    registry.cached.cache_clear()
    found = [data.load(name, split, resolution=178) for split in ("train", "validation", "test")]
    registry.cached.cache_clear()
    assert tuple(map(len, found)) == counts
    for images, low in zip(found, brightest, strict=True):
        assert images.source == "real"
        pictures = np.stack([images[i] for i in range(len(images))])
        assert pictures.shape[1:] == (178, 178, 3)
        assert np.all(pictures[:, 89, 89] >= low)
        assert np.all(pictures[:, 89, 89] < low + 40)
        # 20 pixels wide and in the middle; of Imagenette's, reduced by 2 / 3.
        width = np.count_nonzero(pictures[0, 89, :, 0] > low / 2)
        assert width == (20 if name == "celeb_a" else pytest.approx(40 / 3, abs=1))
        lit = np.flatnonzero(pictures[0, 89, :, 0] > low / 2)
        assert lit.mean() == pytest.approx(88.5, abs=1)
