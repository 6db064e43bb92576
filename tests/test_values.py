"""The pictures of figures 5 and 6: what is shown is what was kept."""

import numpy as np

from benchmarks.figures import fig5_voxels, fig6_climate


def test_bits_become_the_solid_that_they_were():
    solid = np.random.default_rng(0).integers(0, 2, (8, 8, 8)).astype(bool)
    bits = np.packbits(solid.reshape(1, -1, 1), axis=-2)
    np.testing.assert_array_equal(fig5_voxels.solid(bits[0]), solid)


def test_a_slice_says_which_voxels_are_wrong():
    target, found = np.zeros((2, 4, 4, 4), bool)
    target[1:3, 0, 2], found[2:, 0, 2] = True, True
    cut = fig5_voxels.slice_of(found, target)
    right, surplus, missing = (
        list(fig5_voxels.SLICE).index(name) for name in ("right", "filled wrongly", "left out wrongly")
    )
    assert cut[-1].tolist() == [0, missing, right, surplus]  # The second axis is up.
    assert not cut[:-1].any()


def test_the_nearest_voxel_hides_those_behind():
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[4:12, 4:12, 4:12] = 1
    alone = fig5_voxels.render(labels, {1: (0.0, 1.0, 0.0), 2: (1.0, 0.0, 0.0)})
    seen = (alone[..., 1] > 0.3) & (alone[..., 0] < 0.1)
    assert 0.1 < seen.mean() < 0.5
    labels[6:10, 6:10, 6:10] = 2  # Inside: nobody sees it.
    inside = fig5_voxels.render(labels, {1: (0.0, 1.0, 0.0), 2: (1.0, 0.0, 0.0)})
    np.testing.assert_array_equal(inside, alone)
    labels[4:12, 12, 4:12] = 2  # On top: seen from above.
    above = fig5_voxels.render(labels, {1: (0.0, 1.0, 0.0), 2: (1.0, 0.0, 0.0)})
    red = (above[..., 0] > 0.3) & (above[..., 1] < 0.1)
    green = (above[..., 1] > 0.3) & (above[..., 0] < 0.1)
    assert red.any()
    assert np.nonzero(red)[0].mean() < np.nonzero(green)[0].mean()


def test_a_grid_is_known_by_its_number_of_points():
    assert fig6_climate.grid(181 * 360) == (181, 360)
    assert fig6_climate.grid(46 * 90) == (46, 90)
    assert fig6_climate.grid(64**3) is None


def test_the_globe_shows_the_place_above_which_it_is_seen():
    lat, lon = np.linspace(90, -90, 46), np.arange(90) * 4.0
    field = np.cos(np.radians(lat))[:, None] * np.cos(np.radians(lon - 120))[None, :]  # Largest at 120 degrees east.
    seen = fig6_climate.globe(field, 120.0, latitude=0.0, pixels=101)
    row, column = np.unravel_index(np.nanargmax(seen), seen.shape)
    assert abs(row - 50) <= 3
    assert abs(column - 50) <= 3
    # East is to the right, north above.
    turned = fig6_climate.globe(field, 90.0, latitude=0.0, pixels=101)
    assert np.unravel_index(np.nanargmax(turned), turned.shape)[1] > 60
    assert np.isnan(seen[0, 0])
    above = fig6_climate.globe(np.repeat(lat[:, None], 90, axis=1), 0.0, latitude=90.0, pixels=101)
    assert above[50, 50] > 85
