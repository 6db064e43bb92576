import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mscn_flax import signals


def test_coordinates_are_pixel_centres_row_first():
    coords = signals.grid_coordinates((2, 4))
    assert coords.shape == (8, 2)
    np.testing.assert_allclose(coords[0], [0.25, 0.125])
    np.testing.assert_allclose(coords[1], [0.25, 0.375])
    np.testing.assert_allclose(coords[-1], [0.75, 0.875])


def test_images_survive_the_round_trip():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    targets = signals.image_to_targets(images)
    assert targets.shape == (3, 35, 3)
    np.testing.assert_array_equal(signals.targets_to_image(targets, 5, 7), images)
    np.testing.assert_array_equal(targets[1, 9], images[1, 1, 2] / np.float32(255))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_one_point_of_every_cell(rows, columns, stride, seed):
    shape = (rows * stride, columns * stride)
    points = signals.stratified_points(shape, stride, np.random.default_rng(seed))
    cells = np.stack(np.unravel_index(points, shape)) // stride
    assert sorted(map(tuple, cells.T)) == [(r, c) for r in range(rows) for c in range(columns)]


def test_the_sphere_has_its_poles_and_no_seam():
    points = signals.sphere_coordinates((181, 360)).reshape(181, 360, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(points[0], np.broadcast_to([0, 0, 1], (360, 3)), atol=1e-6)
    np.testing.assert_allclose(points[-1], np.broadcast_to([0, 0, -1], (360, 3)), atol=1e-6)
    np.testing.assert_allclose(points[90, 0], [1, 0, 0], atol=1e-6)  # Equator, Greenwich.
    np.testing.assert_allclose(points[90, 90], [0, 1, 0], atol=1e-6)  # 90 degrees east.
    # From the last column to the first, over the date line or Greenwich, is one step like all others.
    steps = np.linalg.norm(np.roll(points, -1, axis=1) - points, axis=-1)
    np.testing.assert_allclose(steps[90], steps[90, 0], rtol=1e-4)


def test_a_stride_that_does_not_divide_leaves_smaller_cells():
    points = signals.stratified_points((46, 90), 4, np.random.default_rng(0))
    cells = np.stack(np.unravel_index(points, (46, 90))) // 4
    assert sorted(map(tuple, cells.T)) == [(r, c) for r in range(12) for c in range(23)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: signals.grid_coordinates((0, 3)), "positive"),
        (lambda: signals.image_to_targets(np.zeros((4, 4, 3), np.int16)), "uint8"),
        (lambda: signals.stratified_points((32, 2), 3, np.random.default_rng(0)), "stride 3"),
        (lambda: signals.sphere_coordinates((1, 4)), "at least 2"),
    ],
)
def test_wrong_values_are_named(wrong, says):
    # A type checker may refuse first; either way nothing wrong comes out.
    with pytest.raises(Exception, match=rf"{says}|type"):
        wrong()
