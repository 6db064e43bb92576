"""The renderer against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax import rendering
from mscn_flax.modalities.cameras import camera_rays, look_at_origin, pixels_of
from mscn_flax.rendering import Camera, RadianceField
from mscn_flax.siren import LatentModulatedSiren, Siren

COLOUR = jnp.array([0.2, 0.4, 0.8])


def one_ray(camera, densities):
    """The colour of a ray along x whose points have one colour."""
    lengths = rendering.slabs(camera.depths)[None]
    colours = jnp.broadcast_to(COLOUR, (1, camera.samples_per_ray, 3))
    return rendering.composite(colours, densities[None], lengths)[0]


def test_empty_space_is_white():
    np.testing.assert_allclose(one_ray(Camera(), jnp.zeros(32)), 1.0, atol=1e-6)


def test_an_opaque_plane_hides_what_is_behind():
    camera = Camera(near=0.0, far=1.0, samples_per_ray=64)
    colours = jnp.where(jnp.arange(64)[:, None] < 32, COLOUR, 0.0)[None]
    densities = jnp.where(jnp.arange(64) < 20, 0.0, 1e6)[None]
    seen = rendering.composite(colours, densities, rendering.slabs(camera.depths)[None])
    np.testing.assert_allclose(seen[0], COLOUR, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 0.2, 0.35])
def test_a_ball_of_constant_density_follows_beer_and_lambert(offset):
    """Along a chord of length l a fraction exp(-sigma l) of the white background comes through."""
    sigma, radius = 3.0, 0.4
    camera = Camera(near=0.5, far=1.5, samples_per_ray=4001)
    points = jnp.stack([camera.depths - 1.0, jnp.full_like(camera.depths, offset)], axis=-1)
    densities = jnp.where(jnp.linalg.norm(points, axis=-1) < radius, sigma, 0.0)
    chord = 2 * np.sqrt(radius**2 - offset**2)
    expected = (1 - np.exp(-sigma * chord)) * COLOUR + np.exp(-sigma * chord)
    np.testing.assert_allclose(one_ray(camera, densities), expected, atol=2e-3)


def test_density_is_that_of_the_reference():
    s = jnp.array([-1e3, -1.0, 0.0, 2.0, 1e3])
    expected = np.array([0.0, 0.1 * (np.exp(-1.0) - 1) + 0.1, 0.1, 2.1, 10.0])
    np.testing.assert_allclose(rendering.density(s), expected, rtol=1e-5, atol=1e-6)


def test_light_is_shared_out_whole():
    """Weights of the points and of the background add up to one, whatever the density."""
    densities = jax.random.uniform(jax.random.key(0), (5, 32), maxval=50.0)
    lengths = jnp.broadcast_to(rendering.slabs(Camera().depths), (5, 32))
    seen = rendering.composite(jnp.ones((5, 32, 3)), densities, lengths)
    np.testing.assert_allclose(seen, 1.0, rtol=1e-5)


def test_gradient_agrees_with_finite_differences():
    with jax.enable_x64(True):
        lengths = rendering.slabs(Camera(samples_per_ray=8).depths)[None].astype(jnp.float64)
        colours = jax.random.uniform(jax.random.key(0), (1, 8, 3), jnp.float64)
        weights = jnp.array([[0.3, -0.5, 0.9]], jnp.float64)

        def loss(s):
            return jnp.sum(rendering.composite(colours, rendering.density(s), lengths) * weights)

        s = jax.random.normal(jax.random.key(1), (1, 8), jnp.float64)
        gradient = jax.grad(loss)(s)
        for i in range(8):
            step = jnp.zeros((1, 8)).at[0, i].set(1e-6)
            difference = (loss(s + step) - loss(s - step)) / 2e-6
            np.testing.assert_allclose(gradient[0, i], difference, rtol=1e-5, atol=1e-9)


def test_a_camera_sees_a_ball_where_it_is():
    side, focal, radius = 32, 33.0, 0.3
    pose = look_at_origin(np.array([1.3, 0.0, 0.0]))
    rays = camera_rays(pose, pixels_of(side), np.array([focal, side / 2, side / 2]))
    depths = Camera(samples_per_ray=256).depths
    directions = jnp.asarray(rays[:, 3:])
    points = jnp.asarray(rays[:, None, :3]) + depths[None, :, None] * directions[:, None, :]
    densities = jnp.where(jnp.linalg.norm(points, axis=-1) < radius, 1e3, 0.0)
    lengths = rendering.slabs(depths)[None] * jnp.linalg.norm(directions, axis=-1)[:, None]
    seen = rendering.composite(jnp.broadcast_to(COLOUR, points.shape), densities, lengths).reshape(side, side, 3)
    inside = np.asarray(seen[..., 0]) < 0.6
    # The outline of a ball seen from distance 1.3: the tangent of its half-angle, in pixels.
    assert np.sqrt(inside.sum() / np.pi) == pytest.approx(focal * np.tan(np.arcsin(radius / 1.3)), abs=0.3)
    rows, columns = np.nonzero(inside)
    assert rows.mean() == pytest.approx(15.5, abs=0.2)
    assert columns.mean() == pytest.approx(15.5, abs=0.2)


def test_rays_follow_the_cameras_axes():
    """x right, y down, z into the scene; the optical axis meets the corner between the middle pixels."""
    rays = camera_rays(np.eye(4), np.array([[0, 0], [1, 3], [2, 2]]), np.array([2.0, 2.0, 2.0]))
    np.testing.assert_allclose(rays[:, :3], 0)
    np.testing.assert_allclose(rays[0, 3:], [-0.75, -0.75, 1])
    np.testing.assert_allclose(rays[1, 3:], [0.75, -0.25, 1])
    np.testing.assert_allclose(rays[2, 3:], [0.25, 0.25, 1])
    pose = look_at_origin(np.array([0.0, -2.0, 1.0]))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert pose[2, 1] < 0  # Down in the picture is down in the world.


@pytest.mark.parametrize(
    "field", [Siren(depth=3, width=8, out_dim=4), LatentModulatedSiren(Siren(depth=3, width=8, out_dim=4), 5)]
)
def test_a_radiance_field_is_a_field_of_rays(field):
    seen = RadianceField(siren=field, camera=Camera(samples_per_ray=4))
    assert seen.code_shape == field.code_shape
    rays = jax.random.normal(jax.random.key(0), (7, 6))
    params = seen.init(jax.random.key(1), rays, jnp.zeros(seen.code_shape))
    code = jax.random.normal(jax.random.key(2), seen.code_shape)
    colours = seen.apply(params, rays, code)
    assert colours.shape == (7, 3)
    np.testing.assert_allclose(seen.apply(params, rays[3:4], code)[0], colours[3], rtol=1e-4, atol=1e-5)


def test_a_camera_needs_depths_in_order():
    with pytest.raises(ValueError, match="near < far"):
        Camera(near=2.0, far=1.0)
