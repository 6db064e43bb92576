import numpy as np
import pytest

from mscn_flax import data
from mscn_flax.train import batches


def photos(split):
    return data.load("photos", split, resolution=32)


def test_a_batch_is_a_function_of_seed_and_step():
    images = photos("train")
    one, other = batches(images, 16, 7), batches(images, 16, 7)
    steps = [0, 5, 200, 3]  # 200 is in the second epoch.
    for step in steps:
        np.testing.assert_array_equal(one[step], other[step])
    assert one[0].shape == (16, 32, 32, 3)
    assert not np.array_equal(one[0], batches(images, 16, 8)[0])
    assert not np.array_equal(one[0], one[len(images) // 16])


def test_an_epoch_shows_every_image_once():
    images = photos("validation")
    source = batches(images, 10, 0)
    shown = np.concatenate([source[step] for step in range(len(images) // 10)])
    assert len({image.tobytes() for image in shown}) == len({images[i].tobytes() for i in range(len(images))})


def test_too_large_a_batch_is_refused():
    with pytest.raises(ValueError, match="larger than"):
        batches(photos("validation"), 10_000, 0)
