import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.gates import HardConcrete, initial_log_alpha, top_n_mask
from mscn_flax.prune import PruningRounds
from mscn_flax.siren import Siren

GATE = HardConcrete()
FIELD = DeltaSiren(Siren(depth=3, width=8))
CONTROLLERS = {
    "budget": BudgetController(budget=40, close_by=0.5, freeze_at=0.5),
    "magnitude": PruningRounds(rounds=2, dense_steps=3, round_steps=2),
    "random": PruningRounds(rounds=2, dense_steps=3, round_steps=2, criterion="random"),
}


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


def test_gates_start_open_alike():
    log_alpha = initial_log_alpha(jax.random.key(0), (10_000,))
    assert float(jnp.mean(jax.nn.sigmoid(log_alpha))) == pytest.approx(0.9, abs=1e-3)
    assert GATE.test_l0(log_alpha) == 10_000


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (lambda: HardConcrete(beta=0.0), "beta"),
        (lambda: HardConcrete(gamma=0.1), "gamma"),
        (lambda: top_n_mask(jnp.zeros(3), 4), "4 of 3"),
    ],
)
def test_wrong_values_are_named(wrong, names):
    with pytest.raises(ValueError, match=names):
        wrong()


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_controller_opens_all_gates_first_and_counts_those_that_are_open(name):
    controller, shape = CONTROLLERS[name], FIELD.code_shape
    theta = {"field": FIELD.init(jax.random.key(0), jnp.zeros((1, 2)))["params"]}
    if controller.has_log_alpha:
        theta["log_alpha"] = initial_log_alpha(jax.random.key(1), shape)
    gates = controller.start(shape)
    structure, counts = jax.tree.structure(gates), []
    for step in range(8):
        gates, logged = controller.next(gates, theta, FIELD, jax.random.key(step), jnp.int32(step), 8)
        counts.append(int(logged["open_gates"]))
        assert jax.tree.structure(gates) == structure
    assert counts[0] == FIELD.code_shape[0]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == int(gates.mask.sum()) < counts[0]
    # At the end, and at test time, nothing is random and nothing is penalised.
    for last in (gates, gates.at_test_time(), controller.start(shape).at_test_time()):
        for key in range(2):
            z = controller.sample(last, theta.get("log_alpha"), jax.random.key(key))
            np.testing.assert_array_equal(z, last.mask)
        assert last.penalty_weight == 0


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_random_gate_is_penalised(name):
    controller = CONTROLLERS[name]
    log_alpha = jnp.zeros(FIELD.code_shape) if controller.has_log_alpha else None
    gates = controller.start(FIELD.code_shape)
    drawn = [controller.sample(gates, log_alpha, jax.random.key(key)) for key in range(2)]
    is_random = bool(jnp.any(drawn[0] != drawn[1]))
    assert is_random == (gates.penalty_weight > 0) == (controller.expected_l0(log_alpha) > 0)
