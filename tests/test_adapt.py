import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.adapt import adapt


def quadratic(target):
    return lambda x, *_: 0.5 * jnp.sum((x - target) ** 2)


def test_steps_are_gradient_descent_with_one_rate_per_entry():
    target, lr = jnp.array([1.0, -2.0, 3.0]), jnp.array([0.1, 0.5, 1.0])
    adapted, losses = adapt(quadratic(target), jnp.zeros(3), lr, steps=4)
    np.testing.assert_allclose(adapted, target * (1 - (1 - lr) ** 4), rtol=1e-5)
    assert losses.shape == (4,)
    assert losses[0] == quadratic(target)(jnp.zeros(3))
    assert np.all(np.diff(losses) < 0)


def test_meta_gradient_is_finite_where_the_inner_gradient_is_zero():
    def outer(start):
        adapted, _ = adapt(lambda x, *_: jnp.sum((x * 0) ** 2), start, jnp.full(3, 0.1), steps=3)
        return jnp.sum(adapted**2)

    np.testing.assert_array_equal(jax.grad(outer)(jnp.ones(3)), 2 * jnp.ones(3))


def test_first_order_drops_second_derivatives():
    def outer(start, first_order):
        adapted, _ = adapt(quadratic(jnp.ones(3)), start, jnp.full(3, 0.1), steps=2, first_order=first_order)
        return jnp.sum(adapted)

    np.testing.assert_allclose(jax.grad(outer)(jnp.zeros(3), True), np.ones(3))
    np.testing.assert_allclose(jax.grad(outer)(jnp.zeros(3), False), np.full(3, 0.9**2), rtol=1e-6)


def test_temporary_memory_does_not_grow_with_steps():
    weights = jax.random.normal(jax.random.key(0), (64, 64)) / 8

    def outer(weights, steps):
        def loss(x, weights, *_):
            h = x
            for _ in range(4):
                h = jnp.sin(h @ weights)
            return jnp.sum(h**2)

        start = jnp.ones((256, 64))
        return loss(adapt(loss, start, jnp.full_like(start, 0.1), weights, steps=steps)[0], weights)

    def temporary(steps):
        return jax.jit(jax.grad(outer), static_argnums=1).lower(weights, steps).compile().memory_analysis()

    few, many = temporary(3).temp_size_in_bytes, temporary(12).temp_size_in_bytes
    # Each step leaves its start (one array) behind, never its activations (some twenty).
    assert many - few <= 9 * 2 * 256 * 64 * 4


@pytest.mark.parametrize("linearise", [False, True])
def test_the_second_order_gradient_is_that_of_the_unrolled_steps(linearise):
    keys = jax.random.split(jax.random.key(1), 5)
    start, lr = jax.random.normal(keys[0], (6,)), jax.random.uniform(keys[1], (6,), maxval=0.1)
    weights, fresh = jax.random.normal(keys[2], (6, 4)), jax.random.normal(keys[3], (3, 4))

    def loss(x, weights, constant, seen):
        # Randomness and integers among the constants, as gates have them.
        key, scale = constant
        return jnp.sum((jnp.sin(x @ weights) - seen + jax.random.normal(key, (4,))) ** 2) * scale.astype(jnp.float32)

    def outer(start, lr, weights, remat):
        how = {"steps": 3, "fresh": True, "remat": remat, "linearise": linearise}
        adapted, _ = adapt(loss, start, lr, weights, (keys[4], jnp.int32(1)), fresh, **how)
        return jnp.sum(adapted**2) + jnp.sum(weights)

    unrolled, ours = (jax.grad(outer, argnums=(0, 1, 2))(start, lr, weights, remat) for remat in (False, True))
    for expected, found in zip(unrolled, ours, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
