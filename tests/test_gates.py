import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mscn_flax.gates import HardConcrete, initial_log_alpha, top_n_mask

GATE = HardConcrete()


@pytest.mark.parametrize("log_alpha", [-4.0, -1.5, 0.0, 0.7, 3.0])
def test_expected_l0_is_the_monte_carlo_mean(log_alpha):
    draws = 200_000
    z = GATE.sample(jax.random.key(1), jnp.full(draws, log_alpha))
    open_share = np.mean(np.asarray(z) > 0)
    expected = float(GATE.probability_open(jnp.float32(log_alpha)))
    assert abs(open_share - expected) < 5 * np.sqrt(expected * (1 - expected) / draws)
    assert float(GATE.expected_l0(jnp.full(100, log_alpha))) == pytest.approx(100 * expected, rel=1e-5)


def test_samples_are_exactly_zero_and_one_with_positive_probability():
    z = np.asarray(GATE.sample(jax.random.key(0), jnp.zeros(10_000)))
    assert z.min() == 0
    assert z.max() == 1
    assert 0.1 < np.mean((z > 0) & (z < 1)) < 0.9


def test_test_time_count_is_the_number_of_non_zero_test_gates():
    log_alpha = jnp.linspace(-5, 5, 1001)
    assert float(GATE.test_l0(log_alpha)) == np.count_nonzero(GATE.test_gate(log_alpha))
    # The constants of the reference implementations: log(0.1 / 1.1).
    assert GATE.closed_below == pytest.approx(-2.3979, abs=1e-4)


def test_gradient_reaches_log_alpha_through_the_sample():
    gradient = jax.grad(lambda a: jnp.sum(GATE.sample(jax.random.key(0), a)))(jnp.zeros(1000))
    assert np.all(np.asarray(gradient) >= 0)
    assert np.mean(np.asarray(gradient) > 0) > 0.1


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.data())
def test_top_n_keeps_exactly_n_of_the_largest(size, data):
    n = data.draw(st.integers(0, size))
    # Few distinct values, so that ties are common.
    scores = np.array(data.draw(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=size, max_size=size)), np.float32)
    mask = np.asarray(top_n_mask(jnp.asarray(scores), n))
    assert mask.sum() == n
    if 0 < n < size:
        assert scores[mask].min() >= scores[~mask].max()


def test_initial_probability_is_the_one_asked_for():
    log_alpha = initial_log_alpha(jax.random.key(0), (10_000,), 0.9, 0.01)
    assert float(jnp.mean(jax.nn.sigmoid(log_alpha))) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (lambda: HardConcrete(beta=0.0), "beta"),
        (lambda: HardConcrete(gamma=0.1), "gamma"),
        (lambda: top_n_mask(jnp.zeros(3), 4), "4 of 3"),
        (lambda: initial_log_alpha(jax.random.key(0), (3,), 1.0, 0.1), "open_probability"),
    ],
)
def test_wrong_values_are_named(wrong, names):
    with pytest.raises(ValueError, match=names):
        wrong()
