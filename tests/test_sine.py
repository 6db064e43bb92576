import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.sine import fast_sine

X = np.concatenate([np.linspace(-1000, 1000, 400_001), np.linspace(-4, 4, 10_001)]).astype(np.float32)


@pytest.mark.parametrize(
    ("order", "exact"), [(0, np.sin), (1, np.cos), (2, lambda x: -np.sin(x)), (3, lambda x: -np.cos(x))]
)
def test_derivatives_agree_with_float64(order, exact):
    f = fast_sine
    for _ in range(order):
        f = jax.grad(f)
    error = np.abs(np.asarray(jax.vmap(f)(jnp.asarray(X))) - exact(X.astype(np.float64)))
    assert error.max() < 1e-6


def test_forward_and_reverse_mode_agree():
    x = jnp.linspace(-30.0, 30.0, 101)
    forward = jax.jvp(fast_sine, (x,), (jnp.ones_like(x),))[1]
    reverse = jax.grad(lambda x: jnp.sum(fast_sine(x)))(x)
    np.testing.assert_array_equal(forward, reverse)


def test_other_dtypes_are_exact():
    with jax.enable_x64(True):
        x = jnp.linspace(-50.0, 50.0, 1001, dtype=jnp.float64)
        np.testing.assert_allclose(fast_sine(x), np.sin(np.asarray(x)), rtol=0, atol=1e-14)
