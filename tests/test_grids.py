import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mscn_flax.modalities.grids import grid_coordinates, stratified_points
from mscn_flax.modalities.values import array_to_targets


def test_coordinates_are_pixel_centres_row_first():
    coords = grid_coordinates((2, 4))
    assert coords.shape == (8, 2)
    np.testing.assert_allclose(coords[0], [0.25, 0.125])
    np.testing.assert_allclose(coords[1], [0.25, 0.375])
    np.testing.assert_allclose(coords[-1], [0.75, 0.875])


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_one_point_of_every_cell(rows, columns, stride, seed):
    shape = (rows * stride, columns * stride)
    points = stratified_points(shape, stride, np.random.default_rng(seed))
    cells = np.stack(np.unravel_index(points, shape)) // stride
    assert sorted(map(tuple, cells.T)) == [(r, c) for r in range(rows) for c in range(columns)]


def test_a_stride_that_does_not_divide_leaves_smaller_cells():
    points = stratified_points((46, 90), 4, np.random.default_rng(0))
    cells = np.stack(np.unravel_index(points, (46, 90))) // 4
    assert sorted(map(tuple, cells.T)) == [(r, c) for r in range(12) for c in range(23)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: grid_coordinates((0, 3)), "positive"),
        (lambda: array_to_targets(np.zeros((4, 4, 3), np.int16), 2), "uint8"),
        (lambda: stratified_points((32, 2), 3, np.random.default_rng(0)), "stride 3"),
    ],
)
def test_wrong_values_are_named(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()
