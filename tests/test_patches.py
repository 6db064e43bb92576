import numpy as np
import pytest

from mscn_flax import patches


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 9), (16, 24), (3, 20), (33, 8)])
def test_join_is_the_inverse_of_split(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    tiles = patches.split(image, 8)
    assert tiles.shape == (patches.count(*shape, 8), 8, 8, 3)
    np.testing.assert_array_equal(patches.join(tiles, *shape), image)


def test_patches_are_the_image_row_by_row():
    image = np.arange(16 * 24 * 1, dtype=np.uint16).astype(np.uint8).reshape(16, 24, 1)
    tiles = patches.split(image, 8)
    np.testing.assert_array_equal(tiles[1], image[:8, 8:16])
    np.testing.assert_array_equal(tiles[3], image[8:, :8])


def test_the_image_goes_on_by_reflection():
    image = np.random.default_rng(0).integers(0, 256, (8, 5, 3)).astype(np.uint8)
    (tile,) = patches.split(image, 8)
    np.testing.assert_array_equal(tile[:, 5:], image[:, 1:4][:, ::-1])


def test_a_wrong_number_of_patches_is_refused():
    with pytest.raises(ValueError, match="patches"):
        patches.join(np.zeros((3, 8, 8, 1), np.uint8), 16, 16)
