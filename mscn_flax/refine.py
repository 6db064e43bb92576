"""Inner steps beyond those of training, with momentum: an encoder that takes longer finds a better code.

The learned inner rates are made for a few steps; as many again gain little. Nesterov's momentum with half of these
rates comes far closer to the best code in as many steps; the code of least error on the way is kept, so that no signal
loses.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mscn_flax import metrics
from mscn_flax.learner import MetaLearner, Theta

MOMENTUM = 0.9
"""Share of the last update that each one repeats."""

SHARE = 0.5
"""Of the learned rates: with all of them momentum overshoots."""


def refine(
    learner: MetaLearner,
    theta: Theta,
    code: Float[Array, "*code"],
    coords: Float[Array, "N d"],
    targets: Float[Array, "N c"],
    *,
    steps: int,
) -> Float[Array, "*code"]:
    """A code of at most the error of the one given, whose entries of zero stay so.

    Args:
      learner: fitted the code, and renders it.
      theta: what the outer loop has learned.
      code: of one signal, gated.
      coords: of all points that the signal is fitted to.
      targets: values there.
      steps: number of gradients.
    """
    rates = theta["inner_lr"]["code"]
    rates = SHARE * (rates[-1] if learner.lr_per_step else rates) * (code != 0).astype(code.dtype)

    def error(code):
        return metrics.mse(learner.render(theta, code, coords), targets)

    def step(carried, _):
        code, velocity, best, least = carried
        ahead = code + MOMENTUM * velocity
        found, gradient = jax.value_and_grad(error)(ahead)
        velocity = MOMENTUM * velocity - rates * gradient
        return (code + velocity, velocity, jnp.where(found < least, ahead, best), jnp.minimum(found, least)), None

    start = (code, jnp.zeros_like(code), code, jnp.asarray(jnp.inf))
    (last, _, best, least), _ = jax.lax.scan(step, start, length=steps)
    return jnp.where(error(last) < least, last, best)
