import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.budget import INITIAL_LAMBDA, BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.siren import LatentModulatedSiren, Siren


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


def test_gates_of_units_free_of_coordinates_start_higher_where_asked():
    siren, coords = Siren(depth=4, width=8, coordinate_free=3, coordinate_free_layers=3), jnp.zeros((5, 2))
    plain = MetaLearner(siren, BudgetController(budget=3))
    first = MetaLearner(siren, BudgetController(budget=3), prefer_coordinate_free=6.0)
    expected = np.zeros(siren.code_shape)
    expected[0, :3] = 6
    difference = first.init(jax.random.key(1), coords)["log_alpha"] - plain.init(jax.random.key(1), coords)["log_alpha"]
    np.testing.assert_allclose(difference, expected, atol=1e-5)
    gates, latents = BudgetController(budget=3), LatentModulatedSiren(siren=siren, latent_dim=3)
    for field, controller in ((siren, None), (Siren(depth=4, width=8), gates), (latents, gates)):
        with pytest.raises(ValueError, match="prefer_coordinate_free needs learned gates"):
            MetaLearner(field, controller, prefer_coordinate_free=6.0)


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


NESTED = BudgetController(budget=6, nested=(2, 3, 6), close_by=0.5, freeze_at=0.6)


def frozen(controller, log_alpha):
    gates = controller.start(log_alpha.shape)
    return controller.next(gates, {"log_alpha": log_alpha}, None, None, jnp.int32(59), 100)[0]


def test_once_frozen_each_signal_draws_one_of_the_nested_masks():
    log_alpha = jax.random.normal(jax.random.key(0), (2, 5))
    gates = frozen(NESTED, log_alpha)
    order = np.argsort(-np.asarray(log_alpha).ravel())
    masks = {budget: np.isin(np.arange(10), order[:budget]) for budget in NESTED.nested}
    drawn = [np.asarray(NESTED.sample(gates, log_alpha, jax.random.key(i))).ravel() for i in range(60)]
    counts = [int(z.sum()) for z in drawn]
    assert {*counts} == {2, 3, 6}
    assert min(counts.count(budget) for budget in NESTED.nested) > 10
    for z, count in zip(drawn, counts, strict=True):
        np.testing.assert_array_equal(z, masks[count])


def test_at_test_time_nothing_is_drawn_and_a_smaller_budget_lies_in_a_larger_one():
    log_alpha = jax.random.normal(jax.random.key(1), (2, 5))
    gates = frozen(NESTED, log_alpha)
    for budget in NESTED.nested:
        served = gates.at_budget(budget).at_test_time()
        z = [np.asarray(NESTED.sample(served, log_alpha, jax.random.key(i))) for i in range(8)]
        assert {int(each.sum()) for each in z} == {budget}
        assert (z[0] <= np.asarray(gates.mask)).all()
    np.testing.assert_array_equal(NESTED.sample(gates.at_test_time(), log_alpha, jax.random.key(0)), gates.mask)


def test_one_budget_is_as_it_was():
    gates = frozen(BudgetController(budget=6, close_by=0.5, freeze_at=0.6), jnp.arange(10.0))
    assert gates.rank is None
    assert gates.at_budget(3) is gates


@pytest.mark.parametrize("nested", [(2, 3), (0, 6), (2, 6, 7)])
def test_nested_budgets_end_with_the_budget(nested):
    with pytest.raises(ValueError, match="nested"):
        MetaLearner(Siren(depth=3, width=8, out_dim=1), BudgetController(budget=6, nested=nested))


def test_masks_of_a_signals_own_are_not_nested():
    with pytest.raises(ValueError, match="nested"):
        MetaLearner(Siren(depth=3, width=8, out_dim=1), NESTED, adapt_gates=True)
