"""Signals of every kind through the one code path."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from mscn_flax import data, fields, meta, modalities
from mscn_flax import views as views_of
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES, MAPS, SCENES, VOLUMES, Sampling
from mscn_flax.rendering import Camera, RadianceField
from mscn_flax.siren import Siren

KEYS = jax.random.split(jax.random.key(6), 4)


def mesh(devices):
    return Mesh(np.array(jax.devices()[:devices]), (meta.SIGNALS,))


def gradient(learner, points, devices, chunk_size):
    """Of eq. 8 with respect to theta."""
    coords = jnp.asarray(points.coords).reshape(-1, points.coords.shape[-1])
    theta, gates = learner.init(jax.random.key(0), coords), learner.init_gates()
    ours = functools.partial(meta.meta_gradient, learner, mesh=mesh(devices), chunk_size=chunk_size)
    logged, found = jax.jit(ours)(theta, gates, KEYS, *points)
    assert np.isfinite(logged["mse"])
    return found


def assert_equal(one, other):
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(one))
    for mine, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-5 * scale)


def mscn(siren):
    return MetaLearner(field=siren, controller=BudgetController(budget=5))


def test_points_of_each_signal_equal_points_that_all_share():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    shared = IMAGES.whole(images, 8)
    own = shared._replace(coords=np.broadcast_to(shared.coords, (4, *shared.coords.shape)).copy())
    learner = mscn(Siren(depth=3, width=8))
    expected = gradient(learner, shared, 1, 4)
    for devices, chunk_size in ((1, 2), (2, 1)):
        assert_equal(expected, gradient(learner, own, devices, chunk_size))


def test_the_same_points_in_every_step_equal_points_that_are_not_fresh():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    once = IMAGES.draw(images, 8, Sampling(stride=2), np.random.default_rng(1))
    learner = mscn(Siren(depth=3, width=8))
    rounds = learner.inner_steps + 1
    again = once._replace(
        coords=np.repeat(once.coords[None], rounds, axis=0), targets=np.repeat(once.targets[:, None], rounds, axis=1)
    )
    assert_equal(gradient(learner, once, 1, 4), gradient(learner, again, 2, 1))


def test_fresh_points_are_others_in_every_step():
    volumes = np.random.default_rng(0).integers(0, 2, (4, 8, 8, 8, 1)).astype(np.float32)
    points = VOLUMES.draw(volumes, 8, Sampling(stride=2, rounds=4), np.random.default_rng(1))
    assert points.coords.shape == (4, 64, 3)
    assert points.targets.shape == (4, 4, 64, 1)
    assert not np.array_equal(points.coords[0], points.coords[1])
    # Every target is its voxel's, axis 0 slowest.
    index = np.floor(points.coords[2] * 8).astype(int)
    np.testing.assert_array_equal(points.targets[:, 2, :, 0], volumes[:, *index.T, 0])
    gradient(mscn(Siren(depth=3, width=8, out_dim=1)), points, 2, 1)


def scenes(count=4, side=8, views=5):
    rng = np.random.default_rng(0)
    made = [views_of.random_scene(rng, side, views).as_record() for _ in range(count)]
    return {name: np.stack([scene[name] for scene in made]) for name in made[0]}


def test_rays_of_scenes_train_like_any_points():
    arrays = scenes()
    points = SCENES.draw(arrays, 8, Sampling(views=2, rays=6), np.random.default_rng(1))
    assert points.coords.shape == (4, 12, 6)
    learner = mscn(RadianceField(siren=Siren(depth=3, width=8, out_dim=4), camera=Camera(samples_per_ray=4)))
    assert_equal(gradient(learner, points, 1, 4), gradient(learner, points, 2, 1))


def test_a_view_has_the_rays_of_its_pixels():
    arrays = scenes()
    points = SCENES.view(arrays, 8, 3)
    assert points.coords.shape == (4, 64, 6)
    np.testing.assert_array_equal(points.targets[2], arrays["views"][2, 3].reshape(64, 3) / np.float32(255))
    np.testing.assert_allclose(points.coords[1, :, :3], np.broadcast_to(arrays["poses"][1, 3, :3, 3], (64, 3)))
    # All look at the middle of the scene: the mean direction is from the camera to the origin.
    mean = points.coords[1, :, 3:].mean(axis=0)
    towards = -arrays["poses"][1, 3, :3, 3]
    np.testing.assert_allclose(mean / np.linalg.norm(mean), towards / np.linalg.norm(towards), atol=1e-4)


def test_too_few_views_are_named():
    with pytest.raises(ValueError, match="9 views are asked for, a scene has 5"):
        SCENES.draw(scenes(), 8, Sampling(views=9, rays=2), np.random.default_rng(0))


def test_weighted_psnr_knows_where_the_poles_are():
    targets = np.zeros((46 * 90, 1), np.float32)
    at_pole, at_equator = targets.copy(), targets.copy()
    at_pole[:90], at_equator[22 * 90 : 23 * 90] = 0.1, 0.1
    shape = MAPS.shape(46)
    pole = MAPS.quality(at_pole, targets, shape)["psnr_weighted_db"]
    equator = MAPS.quality(at_equator, targets, shape)["psnr_weighted_db"]
    # cos(90) is 0, and a row at the equator counts 46 / sum(cos) times what it does unweighted.
    assert pole > 100
    weights = np.cos(np.radians(np.linspace(90, -90, 46)))
    assert equator == pytest.approx(-10 * np.log10(0.01 * weights[22] / weights.sum()), abs=1e-4)


def test_voxel_accuracy_counts_the_right_side():
    targets = np.array([[0.0], [1.0], [1.0], [0.0]], np.float32)
    values = np.array([[0.49], [0.51], [0.2], [-3.0]], np.float32)
    assert VOLUMES.quality(values, targets, (1, 1, 4)) == {"voxel_accuracy": 0.75}


@pytest.mark.parametrize("name", ["photos", "sphere_fields", "solids", "balls"])
def test_a_dry_run_sees_the_shapes_of_the_real_thing(name):
    known = data.DATA_SETS[name]
    side = {"sphere_fields": 10}.get(name, 16)
    signals_of = data.load(name, "validation", resolution=side)
    arrays = jax.tree.map(lambda *each: np.stack(each), *[signals_of[i] for i in range(2)])
    sampling = Sampling(stride=2, rounds=4 if name == "solids" else 1, views=3, rays=10)
    real = known.modality.draw(arrays, side, sampling, np.random.default_rng(0))
    example = known.modality.example(2, known.channels, side, sampling)
    shown = known.modality.draw(example, side, sampling, np.random.default_rng(0))
    assert [a.shape for a in shown] == [a.shape for a in real]
    assert [a.dtype for a in shown] == [a.dtype for a in real]
    assert real.coords.shape[-1] == known.modality.dims == known.modality.all_coordinates(side).shape[-1]


def test_random_fields_have_the_spectrum_that_they_claim():
    """The variance over the sphere is the sum over degrees of (2 l + 1) C_l; the mean map apart."""
    weights = np.repeat(np.cos(np.radians(np.linspace(90, -90, 46)))[:, None], 90, axis=1)
    made = np.stack([fields.random_field(np.random.default_rng(seed), (46, 90)) for seed in range(200)])
    anomalies = made - made.mean(axis=2, keepdims=True)  # Order 0 and the zonal mean go with the mean of a row.
    degrees = np.arange(25)
    spectrum = 60 / (2 * degrees + 1) / (degrees + 1) ** 2
    expected = np.sum(2 * degrees * spectrum)  # 2 l of the 2 l + 1 orders are not 0.
    assert np.average(np.mean(anomalies**2, axis=0), weights=weights) == pytest.approx(expected, rel=0.1)
    assert modalities.MAPS.shape(181) == (181, 360)
