import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.outer import OPTIMIZERS, OuterOptimizer

THETA = {"field": {"w": jnp.ones(3)}, "inner_lr": {"code": jnp.ones(2)}, "log_alpha": jnp.zeros(4)}


def test_gates_do_not_change_how_the_field_is_clipped():
    without = {name: THETA[name] for name in ("field", "inner_lr")}
    optimizer = OuterOptimizer(learning_rate=1e-3, clip_norm=0.1)
    updates = []
    for theta in (THETA, without):
        transformation = optimizer.build(10)
        gradient = {
            **{name: theta[name] for name in without},
            **({"log_alpha": jnp.full(4, 1e6)} if len(theta) == 3 else {}),
        }
        state = transformation.init(theta)
        for scale in (1.0, 3.0):
            scaled = {"field": {"w": scale * jnp.arange(3.0)}, "inner_lr": {"code": scale * jnp.ones(2)}}
            update, state = transformation.update({**gradient, **scaled}, state, theta)
        updates.append(update)
    np.testing.assert_array_equal(updates[0]["field"]["w"], updates[1]["field"]["w"])


def sizes(steps, **options):
    """Size of each update of the field: the learning rate, as the gradient is constant."""
    transformation = OuterOptimizer(learning_rate=1.0, **options).build(steps)
    state, found = transformation.init(THETA), []
    for _ in range(steps):
        update, state = transformation.update(THETA, state, THETA)
        found.append(float(jnp.max(jnp.abs(update["field"]["w"]))))
    return found


def test_warm_up_and_decay():
    found = sizes(8, warmup=0.5, decay=True)
    np.testing.assert_allclose(found[:5], [0, 0.25, 0.5, 0.75, 1], rtol=1e-4)
    assert found[4] > found[5] > found[6] > found[7] > 0


def test_a_warm_restart_is_two_schedules_one_after_the_other():
    found = sizes(12, warmup=0.5, decay=True, floor=0.1, restart_at=1 / 3)
    expected = [each for steps in (4, 8) for each in sizes(steps, warmup=0.5, decay=True, floor=0.1)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="restart_at must be in"):
        OuterOptimizer(restart_at=1.0)


def test_wrong_warm_up_is_refused():
    with pytest.raises(ValueError, match="warmup"):
        OuterOptimizer(warmup=1.0)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match=r"optimizer must be one of adam, .*'sgd'"):
        OuterOptimizer(optimizer="sgd")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_descends_and_leaves_the_other_groups_to_adam(optimizer):
    theta = {"field": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}, "inner_lr": {"code": jnp.ones((2, 2))}}
    transformation, reference = (
        OuterOptimizer(learning_rate=1e-2, optimizer=name).build(10) for name in (optimizer, "adam")
    )
    states = [transformation.init(theta), reference.init(theta)]
    for _ in range(10):  # Towards zero.
        update, states[0] = transformation.update(theta, states[0], theta)
        expected, states[1] = reference.update(theta, states[1], theta)
        np.testing.assert_array_equal(update["inner_lr"]["code"], expected["inner_lr"]["code"])
        theta = jax.tree.map(jnp.add, theta, update)
    for leaf in jax.tree.leaves(theta["field"]):
        assert 0.5 < float(jnp.mean(leaf)) < 0.995
