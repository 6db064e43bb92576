import collections
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from mscn_flax import data
from mscn_flax.data import registry
from mscn_flax.data.crops import crops
from mscn_flax.data.photos import PATCHES


def kodak_files(folder, size=(768, 512)):
    """Twenty-four made-up files, each of one colour."""
    (folder / "kodak").mkdir()
    for number in range(1, 25):
        PIL.Image.new("RGB", size, (number, 0, 0)).save(folder / "kodak" / f"kodim{number:02}.png")
    return folder / "kodak"


def test_kodak_is_whole_and_in_order(data_dir):
    images = data.load("kodak", "test", resolution=32, data_dir=data_dir)
    assert (images.name, images.source, len(images)) == ("kodak", "real", 24)
    standing = []
    for number, image in enumerate(images, start=1):
        file = f"kodim{number:02}.png"
        assert images.records[number - 1]["file"] == file.encode()
        with PIL.Image.open(pathlib.Path(data_dir) / "kodak" / file) as opened:
            np.testing.assert_array_equal(image, np.asarray(opened))
        assert image.dtype == np.uint8
        assert sorted(image.shape) == [3, 512, 768]
        if image.shape[0] == 768:
            standing.append(number)
    assert standing == [4, 9, 10, 17, 18, 19]


def test_kodak_of_other_files_is_another_data_set(tmp_path):
    folder = kodak_files(tmp_path)
    images = data.load("kodak", "test", resolution=32, data_dir=str(tmp_path))
    assert [image[0, 0, 0] for image in images] == list(range(1, 25))
    PIL.Image.new("RGB", (512, 768), (99, 0, 0)).save(folder / "kodim07.png")
    registry.cached.cache_clear()
    changed = data.load("kodak", "test", resolution=32, data_dir=str(tmp_path))
    assert changed[6].shape == (768, 512, 3)
    assert [image[0, 0, 0] for image in changed] == [*range(1, 7), 99, *range(8, 25)]


def test_a_missing_kodak_image_is_named(tmp_path):
    with pytest.raises(data.MissingDataError, match=r"kodim01.png is missing \(24 of 24 are\)"):
        data.load("kodak", "test", resolution=32, data_dir=str(tmp_path))
    (kodak_files(tmp_path) / "kodim11.png").unlink()
    with pytest.raises(
        data.MissingDataError, match=r"kodim11.png is missing \(1 of .*r0k\.us.* Without: use"
    ) as caught:
        data.load("kodak", "test", resolution=32, data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (PIL.Image.new("RGB", (768, 513)), "768x513 RGB"),
        (PIL.Image.new("L", (768, 512)), "768x512 L"),
        (PIL.Image.new("RGBA", (512, 768)), "512x768 RGBA"),
    ],
)
def test_kodak_images_of_another_shape_are_refused(image, says, tmp_path):
    image.save(kodak_files(tmp_path) / "kodim05.png")
    with pytest.raises(ValueError, match=f"kodim05.png is {says}, expected 768x512 or 512x768 RGB") as caught:
        data.load("kodak", "test", resolution=32, data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def numbered(number, height, width):
    """A photograph whose every pixel says where it is."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, number)], axis=-1).astype(np.uint8)


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """Crops of two photographs for training and one for validation; the sides are kept below 256."""
    sizes = {"train": ((9, 40), (200, 7)), "validation": ((33, 21),)}

    def photographs(split):
        for number, size in enumerate(sizes[split]):
            yield f"{split}{number}", numbered(number + 10 * (split == "validation"), *size)

    def made(folder="prepared", side=7):
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / folder))
        return {split: list(crops("numbered", split, side, 30, {s: photographs(s) for s in sizes})) for split in sizes}

    return made


def test_every_crop_is_part_of_its_photograph(cut):
    found = cut()
    sizes = {b"train0": (9, 40), b"train1": (200, 7), b"validation0": (33, 21)}
    numbers = {b"train0": 0, b"train1": 1, b"validation0": 10}
    places = collections.defaultdict(set)
    for records in found.values():
        for record in records:
            top, left, number = map(int, record["image"][0, 0])
            assert number == numbers[record["photograph"]]
            whole = numbered(number, *sizes[record["photograph"]])
            np.testing.assert_array_equal(record["image"], whole[top : top + 7, left : left + 7])
            places[record["photograph"]].add((top, left))
    assert {split: len(records) for split, records in found.items()} == {"train": 60, "validation": 30}
    assert {record["photograph"] for record in found["train"]} == {b"train0", b"train1"}
    assert {record["photograph"] for record in found["validation"]} == {b"validation0"}
    # They reach both ends of what there is, and where a side has no room they do not move along it.
    assert {top for top, _ in places[b"train0"]} == {0, 1, 2}
    assert {left for _, left in places[b"train1"]} == {0}
    assert all(len(of_one) > 20 for of_one in places.values())


def test_crops_are_a_function_of_the_configuration(cut):
    one, other = cut("one"), cut("other")
    for split in one:
        for left, right in zip(one[split], other[split], strict=True):
            np.testing.assert_array_equal(left["image"], right["image"])
    # Splits and photographs do not share their places.
    places = collections.defaultdict(set)
    for record in (record for records in cut(side=3).values() for record in records):
        places[record["photograph"]].add(tuple(record["image"][0, 0, :2]))
    assert places[b"train0"] != places[b"validation0"]
    assert places[b"train0"] != places[b"train1"]


def test_a_photograph_too_small_for_a_crop_is_refused(cut):
    with pytest.raises(ValueError, match="train0 is 40x9, too small for crops of 10x10") as caught:
        cut(side=10)
    assert "\n" not in str(caught.value)


class SmallDiv2k(tfds.core.GeneratorBasedBuilder):
    """Forty photographs of different sizes, as TFDS stores DIV2K: no names, and a smaller one beside each."""

    VERSION = tfds.core.Version("2.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3))
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"lr": image, "hr": image}))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(first) for split, first in (("train", 0), ("validation", 100))}

    def _generate_examples(self, first):
        for number in range(first, first + 40):
            large = numbered(number, 40 + number % 5, 60)
            yield number, {"lr": np.full_like(large[::2, ::2], 255), "hr": large}


def test_kodak_is_trained_on_div2k_where_it_is_prepared(data_dir, tmp_path, monkeypatch):
    SmallDiv2k(data_dir=tmp_path).download_and_prepare(file_format="array_record")
    asked = []

    def builder(config, **kwargs):
        asked.append(config)
        return SmallDiv2k(data_dir=tmp_path, file_format="array_record")

    monkeypatch.setattr(tfds, "builder", builder)
    registry.cached.cache_clear()
    found = {split: data.load("kodak", split, resolution=16, data_dir=data_dir) for split in ("train", "validation")}
    registry.cached.cache_clear()
    assert set(asked) == {"div2k/bicubic_x2"}
    assert {split: len(images) for split, images in found.items()} == {"train": 3800, "validation": 200}
    seen = {}
    for split, images in found.items():
        assert (images.name, images.source) == ("div2k", "real")
        pictures = np.stack(list(images))
        assert pictures.shape[1:] == (16, 16, 3)
        seen[split] = set(np.unique(pictures[..., 2]))
    # All of the forty of the training split, none of the other and none of the small ones.
    assert (len(seen["train"]), len(seen["validation"])) == (38, 2)
    assert seen["train"] | seen["validation"] == set(range(40))


def test_kodak_is_trained_on_photographs_of_the_local_copy(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("train_a", "train_b", "val_a", "other")):
        PIL.Image.fromarray(numbered(number, 40, 50)).save(tmp_path / "photos" / f"{name}.png")
    for split, count, numbers in (("train", 512, {0, 1}), ("validation", 256, {2})):
        images = data.load("kodak", split, resolution=24, data_dir=str(tmp_path))
        assert (images.name, images.source, len(images)) == ("cid22", "standin", count)
        assert images[0].shape == (24, 24, 3)
        assert {int(image[0, 0, 2]) for image in images} == numbers


@pytest.mark.parametrize("files", [(), ("train_a.png",)])
def test_kodak_is_trained_on_embedded_photographs_at_last(files, tmp_path):
    (tmp_path / "photos").mkdir()
    for file in files:  # Without a photograph for validation too they are of no use.
        PIL.Image.fromarray(numbered(0, 40, 40)).save(tmp_path / "photos" / file)
    for split in ("train", "validation"):
        images = data.load("kodak", split, resolution=32, data_dir=str(tmp_path))
        assert (images.name, images.source, len(images)) == ("photos", "standin", PATCHES[split])
        assert b"kodim" not in b"".join(images.records[i]["photograph"] for i in range(len(images)))


def test_no_kodak_image_is_trained_on(data_dir):
    seen = {}
    for split, prefix in (("train", "train_"), ("validation", "val_")):
        images = data.load("kodak", split, resolution=32, data_dir=data_dir)
        assert (images.name, images.source) == ("cid22", "standin")
        files = {path.name for path in (pathlib.Path(data_dir) / "photos").glob(f"{prefix}*.png")}
        assert len(images) == 256 * len(files)
        # Records are shuffled: every eighth shows all photographs.
        seen[split] = {images.records[i]["photograph"].decode() for i in range(0, len(images), 8)}
        assert seen[split] == files
    assert not seen["train"] & seen["validation"]
    assert not any("kodim" in name for names in seen.values() for name in names)
