import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.metrics

from mscn_flax import metrics
from mscn_flax.siren import Siren


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
