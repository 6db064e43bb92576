import numpy as np
import pytest

from mscn_flax.modalities import IMAGES
from mscn_flax.modalities.values import array_to_targets


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 9), (16, 24), (3, 20), (33, 8)])
def test_join_is_the_inverse_of_split(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    patches = IMAGES.split(image, 8, 3)
    assert patches.shape[1:] == (8, 8, 3)
    IMAGES.check_header(*shape, len(patches), 8)
    values = IMAGES.stored(array_to_targets(patches, 2))
    np.testing.assert_array_equal(IMAGES.join(values, *shape, 8), image)


def test_patches_are_the_image_row_by_row():
    image = np.arange(16 * 24 * 1, dtype=np.uint16).astype(np.uint8).reshape(16, 24, 1)
    patches = IMAGES.split(image, 8, 1)
    np.testing.assert_array_equal(patches[1], image[:8, 8:16])
    np.testing.assert_array_equal(patches[3], image[8:, :8])


def test_the_image_goes_on_by_reflection():
    image = np.random.default_rng(0).integers(0, 256, (8, 5, 3)).astype(np.uint8)
    (patch,) = IMAGES.split(image, 8, 3)
    np.testing.assert_array_equal(patch[:, 5:], image[:, 1:4][:, ::-1])


def test_a_wrong_number_of_patches_is_refused():
    with pytest.raises(ValueError, match="3 patches where its size makes 4"):
        IMAGES.check_header(16, 16, 3, 8)
