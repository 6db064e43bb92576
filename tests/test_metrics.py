import dataclasses
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.metrics

from mscn_flax import metrics
from mscn_flax.delta import DeltaSiren
from mscn_flax.linear import LinearField
from mscn_flax.rendering import Camera, RadianceField
from mscn_flax.siren import LatentModulatedSiren, Siren

SIREN = Siren(depth=4, width=6, sine="plain")
LATENTS = LatentModulatedSiren(siren=SIREN, latent_dim=5)
IN_SPACE = LatentModulatedSiren(siren=Siren(depth=4, width=6, out_dim=4, sine="plain"), latent_dim=5)


def test_psnr_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 64, 3), np.float32)
    ours = float(metrics.psnr(metrics.mse(jnp.asarray(a), jnp.asarray(b))))
    assert ours == pytest.approx(skimage.metrics.peak_signal_noise_ratio(a, b, data_range=1.0), abs=1e-4)


def test_8_bit_clips_and_rounds():
    values = metrics.to_8_bit(jnp.array([-0.2, 0.0, 0.4999, 1.3]))
    np.testing.assert_allclose(values, [0, 0, 127 / 255, 1], atol=1e-7)


def test_flops_are_those_of_the_compiled_products():
    field = Siren(depth=6, width=64)
    coords = jnp.zeros((1024, 2))
    variables = field.init(jax.random.key(0), coords, jnp.zeros(field.code_shape))

    def outer(variables):
        def loss(code):
            return jnp.mean(field.apply(variables, coords, code) ** 2)

        code = jnp.zeros(field.code_shape)
        for _ in range(2):
            code = code - 0.01 * jax.grad(loss)(code)
        return loss(code)

    counted = jax.jit(jax.grad(outer)).lower(variables).compile().cost_analysis()["flops"]
    forward = metrics.siren_flops(1024, 2, 64, 6, 3)
    # XLA counts the element-wise operations too.
    assert 0.9 < counted / metrics.meta_step_flops(forward, 2) < 1.6


def counted(jaxpr) -> int:
    """FLOPs of the matrix products and the sines of a program, from its primitives."""
    total = 0
    for equation in jaxpr.eqns:
        (size,) = {math.prod(out.aval.shape) for out in equation.outvars[:1]}
        if equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
            total += 2 * size * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
        elif equation.primitive.name == "sin":
            total += size
        total += sum(counted(inner.jaxpr) for inner in equation.params.values() if hasattr(inner, "jaxpr"))
    return total


@pytest.mark.parametrize(
    ("field", "dims", "in_dim"),
    [
        (SIREN, 2, 2),
        (dataclasses.replace(SIREN, coordinate_free=3, coordinate_free_shift=True), 2, 2),
        (LATENTS, 3, 3),
        (DeltaSiren(SIREN), 2, 2),
        (RadianceField(siren=IN_SPACE, camera=Camera(samples_per_ray=7)), 6, 3),
        (LinearField(latent_dim=5, points=10, out_dim=3), 2, 2),
    ],
)
def test_flops_of_decoding_are_those_of_the_program(field, dims, in_dim):
    coords, code = jnp.zeros((10, dims)), jnp.zeros(field.code_shape)
    variables = field.init(jax.random.key(0), coords, code)
    program = jax.make_jaxpr(lambda code: field.apply(variables, coords, code))(code)
    assert metrics.decode_flops(field, variables["params"], in_dim, 10) == counted(program.jaxpr)


def test_a_latent_map_is_shared_too():
    shapes = [
        jax.eval_shape(f.init, jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(f.code_shape)) for f in (SIREN, LATENTS)
    ]
    network, whole = (metrics.shared_parameters(each["params"]) for each in shapes)
    assert network == 2 * 6 + 6 + 2 * (6 * 6 + 6) + 6 * 3 + 3
    assert whole - network == (5 + 1) * 3 * 6


@pytest.mark.parametrize("shape", [(64, 1), (16, 3)])
def test_values_and_targets_of_other_points_or_channels_are_refused(shape):
    with pytest.raises(ValueError, match=r"64 points of 3 values \(Siren.out_dim\), the signals have"):
        # Without the tests' own checks of shapes.
        inspect.unwrap(metrics.mse)(jnp.zeros((2, 64, 3)), jnp.zeros((2, *shape)))
