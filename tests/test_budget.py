import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.budget import INITIAL_LAMBDA, BudgetController


def test_target_falls_from_all_to_the_budget():
    controller = BudgetController(budget=64, close_by=0.25, freeze_at=0.5)
    targets = [float(controller.target(jnp.int32(step), 1000, 7168, jnp.float32(64))) for step in (0, 125, 250, 600)]
    np.testing.assert_allclose(targets, [7168, np.sqrt(7168 * 64), 64, 64], rtol=1e-5)
    assert not controller.is_frozen(jnp.int32(499), 1000)
    assert controller.is_frozen(jnp.int32(500), 1000)


def test_target_stays_at_all_gates_until_closing_begins():
    controller = BudgetController(budget=64, open_until=0.4, close_by=0.6, freeze_at=0.7)
    steps = (0, 1, 400, 500, 600, 900)
    targets = [float(controller.target(jnp.int32(step), 1000, 7168, jnp.float32(64))) for step in steps]
    np.testing.assert_allclose(targets, [7168, 7168, 7168, np.sqrt(7168 * 64), 64, 64], rtol=1e-5)


def test_lambda_rises_while_too_many_are_open_and_falls_otherwise():
    controller = BudgetController()
    start = jnp.log(jnp.float32(INITIAL_LAMBDA))
    integral, log_lambda = controller.control(start, jnp.float32(200), jnp.float32(100))
    assert integral > start
    assert log_lambda > integral
    integral, log_lambda = controller.control(start, jnp.float32(50), jnp.float32(100))
    assert integral < start
    assert log_lambda < integral


def test_count_follows_the_target_on_a_simple_plant():
    # Gates of graded importance that close at a speed limited as by Adam: the loop that an integral alone makes swing.
    controller = BudgetController(budget=64, close_by=0.3, freeze_at=0.4)
    steps, gates, closed = 1000, 512, -2.398
    log_alpha, importance = np.full(gates, 2.2), np.geomspace(1e-7, 1e-3, gates)
    integral = log_lambda = jnp.log(jnp.float32(INITIAL_LAMBDA))
    counts = []
    for step in range(int(0.4 * steps)):
        log_alpha += 0.1 * np.clip(np.log(importance / np.exp(float(log_lambda))), -1, 1)
        log_alpha = np.clip(log_alpha, -4.6, 4.6)
        counts.append(int(np.sum(log_alpha > closed)))
        target = controller.target(jnp.int32(step + 1), steps, gates, jnp.float32(64))
        integral, log_lambda = controller.control(integral, jnp.float32(counts[-1]), target)
    assert min(counts) > 32
    assert 48 <= counts[-1] <= 80


@pytest.mark.parametrize(
    "wrong",
    [{"close_by": 0.0}, {"close_by": 0.6, "freeze_at": 0.5}, {"freeze_at": 1.5}, {"open_until": 0.3}],
)
def test_wrong_schedules_are_refused(wrong):
    with pytest.raises(ValueError, match="close_by"):
        BudgetController(**wrong)
