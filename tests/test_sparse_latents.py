"""Latent vectors of which gates choose the modulations that are reconstructed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer_steps import encode, mesh, outer_steps

from mscn_flax import codec, meta, metrics, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.curvature import LayerCurvature
from mscn_flax.fitting import fit_model
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES
from mscn_flax.outer import OuterOptimizer
from mscn_flax.rendering import Camera, RadianceField
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.sparsity import MapGates

COORDS = jnp.asarray(IMAGES.all_coordinates(6))
TARGETS = jax.random.uniform(jax.random.key(5), (4, 36, 3))
KEYS = jax.random.split(jax.random.key(6), 4)
SIREN = Siren(depth=3, width=8)
MESH = mesh()
LEARNER = MetaLearner(
    field=LatentModulatedSiren(siren=SIREN, latent_dim=5),
    controller=BudgetController(budget=7),
    form=MapGates(),
    inner_lr_range=(0.5, 1.0),
    curvature=LayerCurvature(),
)


@functools.cache
def trained(steps=30):
    optimizer = OuterOptimizer(learning_rate=1e-3, gate_learning_rate=0.3, clip_norm=0.1)
    *_, (state, _) = outer_steps(LEARNER, optimizer, COORDS, TARGETS, planned=steps, devices=1, chunk_size=4)
    return state


def test_the_meta_gradient_is_that_of_gated_modulations():
    theta, gates = LEARNER.init(jax.random.key(0), COORDS), LEARNER.init_gates()

    def error(theta, key, target):
        z = LEARNER.controller.hard_concrete.sample(key, theta["log_alpha"])
        rows = theta["field"]["latent_to_modulations"]

        def loss(latent):
            modulations = z * (latent @ rows["kernel"] + rows["bias"]).reshape(z.shape)
            return metrics.mse(SIREN.apply({"params": theta["field"]["siren"]}, COORDS, modulations), target)

        latent = jnp.zeros(5)
        for _ in range(LEARNER.inner_steps):
            latent = latent - theta["inner_lr"]["code"] * jax.grad(loss)(latent)
        expected_l0 = LEARNER.controller.hard_concrete.expected_l0(theta["log_alpha"])
        return loss(latent) + jnp.exp(gates.log_lambda) * expected_l0

    each = [jax.jit(jax.grad(error))(theta, key, target) for key, target in zip(KEYS, TARGETS, strict=True)]
    expected = jax.tree.map(lambda *leaves: sum(leaves) / 4, *each)
    ours = functools.partial(meta.meta_gradient, LEARNER, mesh=MESH, chunk_size=2)
    _, found = jax.jit(ours)(theta, gates, KEYS, COORDS, TARGETS)
    for name in ("field", "inner_lr", "log_alpha"):
        for mine, theirs in zip(jax.tree.leaves(found[name]), jax.tree.leaves(expected[name]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=1e-4 * float(np.max(np.abs(theirs))))


def test_what_is_closed_is_not_reconstructed_once_settled():
    state = trained()
    mask = np.asarray(state.gates.mask)
    assert mask.sum() == 7
    learner, theta, gates = LEARNER.settled(state.theta, state.gates)
    assert gates is None
    assert "log_alpha" not in theta
    kernel, bias = (theta["field"]["latent_to_modulations"][name] for name in ("kernel", "bias"))
    np.testing.assert_array_equal(np.any(kernel, axis=0), mask.ravel())
    assert not np.any(bias[~mask.ravel()])
    codes = encode(learner, theta, None, COORDS, TARGETS, devices=1)
    assert np.all(np.asarray(codes) != 0)
    gated = encode(LEARNER, state.theta, state.gates, COORDS, TARGETS, devices=1)
    np.testing.assert_allclose(gated, codes, rtol=1e-5, atol=1e-7)
    # The rows of the trained map that are closed may hold anything.
    spoilt = state.theta["field"]["latent_to_modulations"]["kernel"] + 9.0 * ~mask.ravel()[None, :]
    rows = state.theta["field"]["latent_to_modulations"] | {"kernel": spoilt}
    field = state.theta["field"] | {"latent_to_modulations": rows}
    _, other, _ = LEARNER.settled(state.theta | {"field": field}, state.gates)
    np.testing.assert_allclose(*(learner.render(each, codes[0], COORDS) for each in (theta, other)), atol=1e-6)


def test_it_is_coded_like_any_latent(tmp_path):
    coder = Coder.of(LEARNER, trained(), 6, 3, IMAGES)
    assert coder.mask.shape == (5,)
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3)).astype(np.uint8)
    fit_model(coder, coder.adapt(images), 5).save(tmp_path / "m.safetensors")
    shared = model.load_model(tmp_path / "m.safetensors")
    stream = codec.encode(shared, images[0])
    codes = codec.unpack(shared, codec.parse(stream))
    learner, theta, _ = LEARNER.settled(trained().theta, trained().gates)
    values = learner.render(theta, jnp.asarray(codes[0]), COORDS)
    decoded = codec.decode(shared, stream).reshape(36, 3)
    np.testing.assert_allclose(decoded, np.clip(np.asarray(values) * 255, 0, 255), atol=1)


def test_the_map_of_a_radiance_field_is_gated_too():
    in_space = LatentModulatedSiren(siren=SIREN.clone(out_dim=4), latent_dim=5)
    field = RadianceField(siren=in_space, camera=Camera(samples_per_ray=4))
    params = field.init(jax.random.key(0), jnp.ones((2, 6)), jnp.zeros(5))["params"]
    gated = MapGates().params(field, params, jnp.zeros(MapGates().gate_shape(field)))
    assert not np.any(gated["siren"]["latent_to_modulations"]["kernel"])
    assert np.any(gated["siren"]["siren"]["layer_01"]["kernel"])


def test_a_pattern_per_signal_is_refused():
    with pytest.raises(ValueError, match="gates what signals share"):
        MetaLearner(field=LEARNER.field, controller=LEARNER.controller, form=MapGates(), adapt_gates=True)


@pytest.mark.parametrize(("bindings", "kept"), [([], 32), (["sparse_latents.kept=20"], 20), (["Siren.width=8"], 16)])
def test_gin_says_how_many_modulations_are_reconstructed(build, bindings, kept):
    jobs = build("table1_modulations", "table1.methods=['sparse_latents']", "table1.datasets=['photos']", *bindings)
    (job,) = jobs
    assert job.setup.learner.field.latent_dim == job.budget == 16
    assert job.setup.learner.controller.budget == kept
