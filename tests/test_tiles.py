import pytest

from mscn_flax.tiles import divisor, tile_size


@pytest.mark.parametrize(("limit", "count", "expected"), [(4, 12, 4), (5, 12, 4), (16, 12, 12), (1, 7, 1), (6, 7, 1)])
def test_a_divisor_within_the_limit(limit, count, expected):
    assert divisor(limit, count) == expected


@pytest.mark.parametrize(
    ("limit", "count", "expected"),
    [
        (None, 100, 100),
        (256, 1024, 256),
        (256, 200, 200),
        (300, 178 * 178, 178),
        (256, 1009, 1009),  # A prime has no even tiles.
    ],
)
def test_tiles_divide_the_points_or_are_all_of_them(limit, count, expected):
    assert tile_size(limit, count) == expected
