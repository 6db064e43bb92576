import numpy as np
import pytest
import scipy.ndimage
import shapely

from mscn_flax.data import shapes
from mscn_flax.modalities.grids import grid_coordinates

SIDE = 64


def brute_force(shape, points, fine=1024, margin=128):
    """Distance to the nearest of the other kind of points of a fine grid: off by less than its diagonal.

    The grid goes beyond the unit square, because a shape that is cut off at the square's edge has a boundary there.
    """
    side = fine + 2 * margin
    grid = (grid_coordinates((side, side)).astype(np.float64) * side - margin) / fine
    inside = shapely.contains_xy(shape, grid[:, 0], grid[:, 1]).reshape(side, side)
    distance = (scipy.ndimage.distance_transform_edt(~inside) - scipy.ndimage.distance_transform_edt(inside)) / fine
    cells = np.minimum((points * fine).astype(int), fine - 1) + margin
    return distance[cells[:, 0], cells[:, 1]], 2 * 2**0.5 / fine


def glyph():
    mask = np.zeros((64, 64), bool)
    mask[8:56, 12:52] = True
    mask[20:44, 24:40] = False  # A hole, as in an O.
    return shapes.glyph(mask)


def has_sliver(shape, width=0.004):
    """Whether part of it, or of a gap in it, is too thin for the fine grid."""
    opened, closed = shape.buffer(-width).buffer(width), shape.buffer(width).buffer(-width)
    return any(shape.boundary.hausdorff_distance(other.boundary) > 0.02 for other in (opened, closed))


def compact_shapes(count):
    found = []
    for index in range(100):
        shape = shapes.random_shape(np.random.default_rng([7, index]), [glyph()] if index % 2 else ())
        if not has_sliver(shape):
            found.append(shape)
        if len(found) == count:
            return found
    raise AssertionError("hardly a shape without slivers")


@pytest.mark.parametrize("shape", compact_shapes(8))
def test_distances_agree_with_brute_force(shape):
    points = grid_coordinates((SIDE, SIDE)).astype(np.float64)
    exact = shapes.signed_distance(shape, points)
    found, tolerance = brute_force(shape, points)
    assert np.max(np.abs(exact - found)) <= tolerance
    assert -1 < exact.min() < 0 < exact.max() < 0.92


def test_known_distances():
    points = np.asarray([[0.5, 0.5], [0.5, 0.9], [0.1, 0.1], [0.5, 0.7]])
    box = shapely.box(0.3, 0.3, 0.7, 0.7)
    np.testing.assert_allclose(shapes.signed_distance(box, points), [-0.2, 0.2, 0.2 * 2**0.5, 0], atol=1e-12)
    # Where the minimum of two parts' distances would be wrong: within a union, nearest to what is not its boundary.
    union = box.union(shapely.box(0.5, 0.3, 1.1, 0.7))
    np.testing.assert_allclose(shapes.signed_distance(union, np.asarray([[0.7, 0.5]])), [-0.2], atol=1e-12)


def test_a_glyph_keeps_its_holes():
    outline = glyph()
    assert outline.bounds == pytest.approx((-0.5, -40 / 96, 0.5, 40 / 96))
    assert not shapely.contains_xy(outline, 0, 0)
    assert outline.area == pytest.approx((48 * 40 - 24 * 16) / 48**2, rel=0.01)


def test_impossible_shapes_are_refused():
    with pytest.raises(ValueError, match="empty"):
        shapes.glyph(np.zeros((8, 8), bool))
    with pytest.raises(ValueError, match="empty"):
        shapes.signed_distance(shapely.Polygon(), np.zeros((1, 2)))
