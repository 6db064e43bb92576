"""More inner steps when a signal is encoded, and borders of patches that are blended."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax import codec, metrics, training
from mscn_flax.coder import Coder
from mscn_flax.fitting import fit_model, lattices_of
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES, MAPS, SCENES
from mscn_flax.model import load_model
from mscn_flax.refine import refine
from mscn_flax.siren import LatentModulatedSiren, Siren

SIREN = Siren(depth=3, width=8, w0=10.0)
SIDE = 8
FIELDS = {"modulations": SIREN, "latents": LatentModulatedSiren(siren=SIREN, latent_dim=6)}


def _coder(field, **options):
    learner = MetaLearner(field=field, inner_lr_range=(0.05, 0.1), **options)
    theta = learner.init(jax.random.key(0), jnp.asarray(IMAGES.all_coordinates(SIDE)))
    return Coder(learner, jax.device_get(theta), np.ones(field.code_shape, bool), SIDE, 3, IMAGES)


def _picture(shape=(16, 24), seed=0):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = np.random.default_rng(seed).uniform(0.05, 0.4, (3, 2))
    values = 0.5 + 0.4 * np.sin(waves[:, 0] * rows[..., None] + waves[:, 1] * columns[..., None])
    return np.rint(255 * values).astype(np.uint8)


def _errors(coder, codes, parts):
    return np.square(coder.render(codes) - parts.reshape(len(parts), -1, 3) / 255).mean(axis=(1, 2))


@pytest.mark.parametrize("options", [{}, {"lr_per_step": True}])
@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_no_signal_loses_and_more_steps_gain_more(field, options):
    coder = _coder(field, **options)
    parts = coder.split(_picture())
    errors = [_errors(coder, dataclasses.replace(coder, refined=n).adapt(parts), parts) for n in (0, 4, 40)]
    assert (errors[1] <= errors[0] * 1.0001).all()
    assert errors[2].mean() < errors[1].mean() < errors[0].mean()


def test_rates_that_are_far_too_large_change_nothing():
    coder = _coder(SIREN)
    theta = jax.tree.map(jnp.asarray, coder.theta) | {"inner_lr": {"code": jnp.full(SIREN.code_shape, 1e6)}}
    coords = jnp.asarray(IMAGES.all_coordinates(SIDE))
    targets, code = jnp.full((SIDE * SIDE, 3), 0.3), jnp.full(SIREN.code_shape, 0.01)

    def error(code):
        return float(metrics.mse(coder.learner.render(theta, code, coords), targets))

    assert error(refine(coder.learner, theta, code, coords, targets, steps=5)) <= error(code)


def test_closed_entries_stay_closed():
    coder = _coder(SIREN)
    theta = jax.tree.map(jnp.asarray, coder.theta)
    code = jnp.zeros(SIREN.code_shape).at[0, :3].set(0.1)
    coords = jnp.asarray(IMAGES.all_coordinates(SIDE))
    refined = refine(coder.learner, theta, code, coords, jnp.full((SIDE * SIDE, 3), 0.3), steps=5)
    np.testing.assert_array_equal(refined != 0, code != 0)


def test_inner_points_are_a_patch_s_own_and_borders_are_mixed():
    coder = _coder(SIREN)
    codes = np.random.default_rng(0).normal(0, 0.3, (6, *SIREN.code_shape)).astype(np.float32)
    apart, _ = coder.values(codes, 2 * SIDE, 3 * SIDE)
    met, _ = dataclasses.replace(coder, overlap=True).values(codes, 2 * SIDE, 3 * SIDE)
    apart, met = (IMAGES.join(each, 2 * SIDE, 3 * SIDE, SIDE) for each in (apart, met))
    inner = np.isin(np.arange(3 * SIDE) % SIDE, [0, SIDE - 1], invert=True)
    np.testing.assert_allclose(met[1:7, inner], apart[1:7, inner], atol=1e-6)
    # The border of the whole picture meets nothing.
    np.testing.assert_allclose(met[:7, :7], apart[:7, :7], atol=1e-6)
    wider = coder.render(codes, IMAGES.wider_coordinates(SIDE)).reshape(6, SIDE + 2, SIDE + 2, 3)
    # Row 2 of the first patch at its right border, and of the second at its left.
    np.testing.assert_allclose(met[2, SIDE - 1], 0.75 * wider[0, 3, SIDE] + 0.25 * wider[1, 3, 0], atol=1e-6)
    np.testing.assert_allclose(met[2, SIDE], 0.75 * wider[1, 3, 1] + 0.25 * wider[0, 3, SIDE + 1], atol=1e-6)
    per_point = dataclasses.replace(coder, overlap=False).flops / SIDE**2
    assert dataclasses.replace(coder, overlap=True).flops == pytest.approx(per_point * (SIDE + 2) ** 2, rel=0.05)
    jumps = [np.abs(np.diff(each, axis=1)[:, SIDE - 1 :: SIDE]).mean() for each in (met, apart)]
    assert jumps[0] < jumps[1]


def test_a_picture_whose_patches_agree_stays_as_it_is():
    side, picture = 4, np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    around = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    wider = np.stack([around[r : r + 6, c : c + 6] for r in (0, 4) for c in (0, 4, 8)]).reshape(6, 36, 3)
    joined = IMAGES.join(IMAGES.blended(wider, 8, 12, side), 8, 12, side)
    np.testing.assert_array_equal(joined, picture)


def test_effort_changes_the_code_and_not_the_model():
    coder = _coder(SIREN)
    picture = _picture((24, 40))
    shared = fit_model(coder, coder.adapt(coder.split(picture)), 6)
    streams = [codec.encode(shared, picture, effort) for effort in (None, 0, 30)]
    assert streams[0] == streams[1] != streams[2]
    errors = [np.square(codec.decode(shared, each).astype(float) - picture).mean() for each in streams]
    assert errors[2] < errors[0]


def test_maps_do_not_overlap():
    with pytest.raises(ValueError, match="do not overlap"):
        dataclasses.replace(_coder(SIREN), modality=MAPS, overlap=True)


def test_half_of_the_points_decide_where_half_is_said():
    coder = dataclasses.replace(_coder(SIREN), half=True, refined=2)
    parts = coder.split(_picture())
    white = np.indices((SIDE, SIDE)).sum(axis=0) % 2 == 0
    assert 2 * len(IMAGES.every_second(SIDE)) == white.size
    unseen = np.where(white[..., None], parts, 255 - parts)
    np.testing.assert_array_equal(coder.adapt(parts), coder.adapt(unseen))
    assert not np.allclose(coder.adapt(parts), dataclasses.replace(coder, half=False).adapt(parts))
    with pytest.raises(ValueError, match="no second points"):
        dataclasses.replace(coder, modality=SCENES)


def test_a_model_says_that_it_codes_by_half_of_the_points(tmp_path):
    coder = dataclasses.replace(_coder(SIREN), half=True)
    made = fit_model(coder, coder.adapt(coder.split(_picture())), 5)
    made.save(tmp_path / "m.safetensors")
    read = load_model(tmp_path / "m.safetensors")
    assert read.coder.half
    assert "of every second point" in read.explain()
    picture = _picture()
    assert codec.encode(read, picture) == codec.encode(made, picture)


@pytest.mark.parametrize(("w0", "better"), [(3.0, True), (90.0, False)])
def test_borders_are_blended_where_that_brings_training_signals_closer(w0, better):
    """A smooth network goes on beyond its part, a wild one says anything there."""
    coder = dataclasses.replace(_coder(dataclasses.replace(SIREN, w0=w0)), refined=30)
    pictures = [_picture((24, 24), seed) for seed in range(3)]
    assert training.blends(coder, pictures, lattices_of(coder, pictures)) is better
    assert not training.blends(dataclasses.replace(coder, modality=MAPS), [], [])
