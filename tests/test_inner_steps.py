"""Learning rates per inner step, and another number of inner steps in training than in encoding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer_steps import encode

from mscn_flax import meta, metrics
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.sparsity import GradientGates
from mscn_flax.train import Setup, Training, batch, batches, devices_for

COORDS = jnp.asarray(grid_coordinates((6, 6)))
TARGETS = jax.random.uniform(jax.random.key(5), (4, 36, 3))
KEY = jax.random.key(6)
SIREN = Siren(depth=3, width=6)
FUNCTA = functools.partial(MetaLearner, field=LatentModulatedSiren(siren=SIREN, latent_dim=5))


def drawn(learner):
    """theta with learning rates that differ between steps."""
    theta = learner.init(jax.random.key(0), COORDS)
    lr = theta["inner_lr"]["code"]
    return theta | {"inner_lr": {"code": jax.random.uniform(jax.random.key(1), lr.shape, minval=0.5, maxval=2.0)}}


@pytest.mark.parametrize("options", [{}, {"remat": False}, {"truncate": 1}, {"tile": 9}])
def test_each_step_has_its_rates_and_more_steps_those_of_the_last(options):
    learner = FUNCTA(lr_per_step=True, inner_steps=2, **options)
    theta = drawn(learner)
    assert theta["inner_lr"]["code"].shape == (2, 5)

    def by_hand(theta, steps):
        def loss(code, theta):
            return metrics.mse(learner.render(theta, code, COORDS), TARGETS[0])

        code = jnp.zeros(5)
        for step in range(steps):
            cut = options.get("truncate") and step < steps - 1
            seen = jax.lax.stop_gradient(theta) if cut else theta
            code = code - seen["inner_lr"]["code"][min(step, 1)] * jax.grad(loss)(code, seen)
        return code

    def ours(theta, steps):
        return learner.fit(theta, None, KEY, COORDS, TARGETS[0], steps=steps)[0]

    @functools.partial(jax.jit, static_argnums=(0, 2))
    def with_gradient(fit, theta, steps):
        """The code, and the gradient of its squared norm."""
        code = fit(theta, steps)
        return code, jax.grad(lambda theta: jnp.sum(fit(theta, steps) ** 2))(theta)

    for steps in (2, 4):
        (code, found), (code_by_hand, expected) = (with_gradient(fit, theta, steps) for fit in (ours, by_hand))
        np.testing.assert_allclose(code, code_by_hand, rtol=1e-4, atol=1e-6)
        for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4 * float(np.max(np.abs(theirs))) + 1e-12)


@pytest.mark.parametrize(
    "make",
    [
        FUNCTA,
        functools.partial(MetaLearner, field=SIREN, controller=BudgetController(budget=4), adapt_gates=True),
        functools.partial(
            MetaLearner, field=DeltaSiren(SIREN), controller=BudgetController(budget=9), form=GradientGates()
        ),
    ],
)
def test_equal_rates_in_all_steps_are_the_start(make):
    plain, learner = make(), make(lr_per_step=True)
    codes = []
    for one in (plain, learner):
        theta = one.init(jax.random.key(0), COORDS)
        codes.append(one.fit(theta, one.init_gates(), KEY, COORDS, TARGETS[0])[0])
    np.testing.assert_allclose(codes[1], codes[0], rtol=1e-5, atol=1e-8)
    assert np.any(codes[0])


def test_training_takes_its_own_number_of_steps_and_encoding_its():
    learner = FUNCTA(inner_steps=3, train_steps=1, inner_lr_range=(0.5, 1.0))
    theta, keys = learner.init(jax.random.key(0), COORDS), jax.random.split(KEY, 4)

    def fitted(steps):
        return jax.vmap(lambda target: learner.fit(theta, None, KEY, COORDS, target, steps=steps)[0])(TARGETS)

    one, three = fitted(1), fitted(3)
    logged = meta.chunk_loss(theta, learner, None, COORDS, keys, TARGETS)[1]
    values = jax.vmap(lambda code: learner.render(theta, code, COORDS))(one)
    assert logged["mse"] == pytest.approx(float(metrics.mse(values, TARGETS).mean()), rel=1e-5)
    codes = encode(learner, theta, None, COORDS, TARGETS, devices=1)
    np.testing.assert_allclose(codes, three, rtol=1e-4, atol=1e-6)
    assert not np.allclose(one, three, rtol=1e-2)


def test_points_are_drawn_for_the_steps_of_training():
    learner = FUNCTA(inner_steps=3, train_steps=2)
    training = Training(outer_steps=1, batch_size=2, stride=2, fresh_points=True)
    setup = Setup(learner, OuterOptimizer(), training, IMAGES, 6)
    images = np.zeros((4, 6, 6, 3), np.uint8)
    points = batch(setup, batches(images, 2, 0), 0, devices_for(2))
    assert points.targets.shape == (2, 3, 9, 3)  # Two inner steps and the outer loss.


def test_wrong_numbers_of_steps_are_refused():
    with pytest.raises(ValueError, match="train_steps must be at least 1 and whole, got 0"):
        FUNCTA(train_steps=0)
