"""Random shapes in the unit square and their exact signed distance functions.

A shape is a polygon, perhaps with holes and of several pieces: unions and differences of circles, boxes, polygons and
glyphs. Taking the minimum or maximum of the parts' distances, as is usual, is exact only on one side of the boundary;
here the parts are joined as polygons and the distance is taken to what is left of their boundaries.
"""

from collections.abc import Callable, Sequence

import numpy as np
import shapely
import shapely.affinity
from jaxtyping import Bool, Float

CENTRE = shapely.box(0.35, 0.35, 0.65, 0.65)
"""Every shape reaches into it, so that no point of the unit square is farther from the shape than 0.92 of a side."""

QUADRANT_SEGMENTS = 64
"""A circle is a polygon of 4 x 64 corners: 8e-5 of its radius off at most."""


def signed_distance(shape: shapely.Geometry, points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, " N"]:
    """Euclidean distance of each point to the shape's boundary, negative inside; in the unit of the coordinates.

    Raises:
      ValueError: where the shape is empty.
    """
    if shape.is_empty:
        raise ValueError("an empty shape has no boundary")
    boundary = shape.boundary
    shapely.prepare([boundary, shape])
    distance = shapely.distance(boundary, shapely.points(points))
    return np.where(shapely.contains_xy(shape, points[:, 0], points[:, 1]), -distance, distance)


def glyph(mask: Bool[np.ndarray, "H W"]) -> shapely.Geometry:
    """The outline of a mask, holes included, its longer side scaled to 1 and centred at the origin.

    Raises:
      ValueError: where the mask is empty.
    """
    import skimage.measure  # Only those who have glyphs need it.

    if not mask.any():
        raise ValueError("a glyph's mask is empty")
    outline = shapely.Polygon()
    for contour in skimage.measure.find_contours(np.pad(mask, 1).astype(float), 0.5):
        # Even-odd: a contour within another is a hole.
        outline = outline.symmetric_difference(shapely.make_valid(shapely.Polygon(contour)))
    low, high = np.reshape(outline.bounds, (2, 2))
    outline = shapely.affinity.translate(outline, *(-(low + high) / 2))
    scale = 1 / max(high - low)
    return shapely.affinity.scale(outline, scale, scale, origin=(0, 0))


def random_shape(rng: np.random.Generator, glyphs: Sequence[shapely.Geometry] = ()) -> shapely.Geometry:
    """One to four parts, joined or cut out one after the other; never nearly empty, always through `CENTRE`.

    Args:
      rng: all that decides the shape, with `glyphs`.
      glyphs: outlines as `glyph` makes them; one of the parts is likely to be one where there are any.
    """
    kinds = [_circle, _box, _polygon]
    if glyphs:
        kinds.append(lambda rng: glyphs[rng.integers(len(glyphs))])
    square = shapely.box(0, 0, 1, 1)
    while True:
        shape = _placed(rng, kinds, extent=(0.4, 0.8), reach=0.1)
        for _ in range(rng.integers(4)):
            part = _placed(rng, kinds, extent=(0.15, 0.5), reach=0.3)
            shape = shape.union(part) if rng.random() < 0.5 else shape.difference(part)
        shape = shapely.make_valid(shape.intersection(square))
        if shape.area > 0.03 and shape.intersects(CENTRE) and shape.geom_type in ("Polygon", "MultiPolygon"):
            return shape


def _placed(
    rng: np.random.Generator,
    kinds: list[Callable[[np.random.Generator], shapely.Geometry]],
    *,
    extent: tuple[float, float],
    reach: float,
) -> shapely.Geometry:
    """A part of a random kind, size and angle, its middle within `reach` of the square's."""
    size, angle = rng.uniform(*extent), rng.uniform(0, 360)
    part = kinds[rng.integers(len(kinds))](rng)
    part = shapely.affinity.scale(part, size, size, origin=(0, 0))
    part = shapely.affinity.rotate(part, angle, origin=(0, 0))
    return shapely.affinity.translate(part, *(0.5 + rng.uniform(-reach, reach, 2)))


# Parts of about unit size around the origin.


def _circle(rng: np.random.Generator) -> shapely.Geometry:
    del rng
    return shapely.Point(0, 0).buffer(0.5, quad_segs=QUADRANT_SEGMENTS)


def _box(rng: np.random.Generator) -> shapely.Geometry:
    half = rng.uniform(0.3, 1) / 2
    return shapely.box(-0.5, -half, 0.5, half)


def _polygon(rng: np.random.Generator) -> shapely.Geometry:
    """Three to eight corners, star-shaped about the origin, convex or not."""
    corners = rng.integers(3, 9)
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(0, 0.8, corners)) / corners
    radii = rng.uniform(0.25, 0.5, corners)
    return shapely.make_valid(shapely.Polygon(np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=1)))
