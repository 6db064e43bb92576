import collections

import numpy as np
import pytest

from mscn_flax import data
from mscn_flax.data.photos.photos_dataset_builder import PATCHES, PHOTOGRAPHS


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


def test_a_batch_is_a_function_of_seed_and_step():
    images = photos("train")
    one, other = data.batches(images, 16, 7), data.batches(images, 16, 7)
    steps = [0, 5, 200, 3]  # 200 is in the second epoch.
    for step in steps:
        np.testing.assert_array_equal(one[step], other[step])
    assert one[0].shape == (16, 32, 32, 3)
    assert not np.array_equal(one[0], data.batches(images, 16, 8)[0])
    assert not np.array_equal(one[0], one[len(images) // 16])


def test_an_epoch_shows_every_image_once():
    images = photos("validation")
    batches = data.batches(images, 10, 0)
    shown = np.concatenate([batches[step] for step in range(len(images) // 10)])
    assert len({image.tobytes() for image in shown}) == len({images[i].tobytes() for i in range(len(images))})


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
        (("cifar11", "train", 32), "celeb_a_hq, cifar10, photos"),
        (("photos", "training", 32), "train, validation, test"),
        (("cifar10", "train", 64), "32x32"),
    ],
)
def test_wrong_names_end_with_the_valid_ones(arguments, says):
    name, split, resolution = arguments
    with pytest.raises(ValueError, match=says):
        data.load(name, split, resolution=resolution)


def test_too_large_a_batch_is_refused():
    with pytest.raises(ValueError, match="larger than"):
        data.batches(photos("validation"), 10_000, 0)
