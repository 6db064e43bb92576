"""Pruning of weights in the outer loop (MetaSparseINR and its baselines): which weights stay, and narrower networks.

Lee et al. 2021 train a dense initialisation, then in each round remove a fifth of the weights that are left and train
on. Biases are never pruned. Counts are of weights: 0.8^k of them survive round k.
"""

import dataclasses

import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mscn_flax.gates import Controller, GateState, top_n_mask
from mscn_flax.siren import Siren

AMOUNT = 0.2
"""Fraction of the surviving weights that a round removes."""


def surviving(weights: int, rounds: int) -> int:
    """Number of weights left after `rounds` rounds: 0.8^rounds of them, rounded to a whole number.

    >>> [surviving(1000, rounds) for rounds in (0, 1, 2, 20)]
    [1000, 800, 640, 12]
    """
    return round(weights * (1 - AMOUNT) ** rounds)


def prune(
    mask: Bool[Array, " P"], scores: Float[Array, " P"], prunable: Bool[Array, " P"], keep: Int[Array, ""]
) -> Bool[Array, " P"]:
    """Closes all prunable entries of `mask` but the `keep` with the highest scores; all other entries stay.

    Nothing that `mask` has closed opens again, whatever its score.

    >>> mask, scores = jnp.array([True, True, True, False]), jnp.array([0.1, 0.7, 0.4, 0.9])
    >>> prune(mask, scores, prunable=jnp.array([False, True, True, True]), keep=jnp.int32(1)).tolist()
    [True, True, False, False]
    """
    ranked = jnp.where(mask & prunable, scores, -jnp.inf)
    return (top_n_mask(ranked, keep) & mask & prunable) | (mask & ~prunable)


@gin.configurable
@dataclasses.dataclass(frozen=True)
class PruningRounds(Controller):
    """Rounds of pruning theta0 of a `DeltaSiren` in the outer loop.

    Round k, from 1, prunes right after outer step `dense_steps` + (k - 1) `round_steps` (from 0), so that the state
    after `stop(k)` steps has been trained for `round_steps` - 1 steps with what round k left.

    Attributes:
      rounds: number of rounds.
      dense_steps: number of outer steps before the first round.
      round_steps: number of outer steps from one round to the next.
      criterion: "magnitude" (of theta0, ranked over all layers together) or "random".

    Raises:
      ValueError: for an unknown criterion, or a number of steps below 1.
    """

    rounds: int = 20
    dense_steps: int = 150_000
    round_steps: int = 30_000
    criterion: str = "magnitude"

    def __post_init__(self):
        if self.criterion not in ("magnitude", "random"):
            raise ValueError(f"PruningRounds.criterion is {self.criterion!r}; valid: magnitude, random")
        if self.rounds < 0 or min(self.dense_steps, self.round_steps) < 1:
            raise ValueError(f"PruningRounds needs rounds >= 0 and steps >= 1, got {self}")

    @property
    def keep_every(self) -> int:
        """See `Controller`; the network of every round is evaluated."""
        return self.round_steps

    def stop(self, k: int) -> int:
        """Number of outer steps after which the network of round k is complete; k = 0 is the dense network."""
        return self.dense_steps + k * self.round_steps

    def start(self, shape: tuple[int, ...]) -> GateState:
        """See `Controller.start`: the dense network."""
        return GateState(jnp.ones(shape, bool))

    def next(self, gates, theta, field, key, step, outer_steps):
        """See `Controller.next`."""
        del outer_steps
        counts = jnp.asarray([surviving(int(field.is_weight.sum()), k) for k in range(self.rounds + 1)], jnp.int32)
        since = step - self.dense_steps
        k = since // self.round_steps + 1
        due = (since >= 0) & (since % self.round_steps == 0) & (k <= self.rounds)
        magnitude = jnp.abs(field.flat(theta["field"]))

        def pruned():
            scores = magnitude if self.criterion == "magnitude" else jax.random.uniform(key, magnitude.shape)
            return prune(gates.mask, scores, jnp.asarray(field.is_weight), counts[k])

        logged = {"open_gates": jnp.sum(gates.mask, dtype=jnp.float32)}
        return gates.replace(mask=jax.lax.cond(due, pruned, lambda: gates.mask)), logged


def siren_weights(siren: Siren, in_dim: int = 2) -> int:
    """Number of weights of a SIREN, not counting biases."""
    return siren.width * (in_dim + (siren.depth - 2) * siren.width + siren.out_dim)


def narrow(siren: Siren, fraction: float, in_dim: int = 2) -> Siren:
    """The narrowest SIREN of even width with at least `fraction` of the weights (the widths of the reference code).

    >>> narrow(Siren(depth=5, width=256), 0.8).width
    230
    """
    wanted = fraction * siren_weights(siren, in_dim)
    for width in range(2, siren.width, 2):
        narrower = siren.clone(width=width)
        if siren_weights(narrower, in_dim) >= wanted:
            return narrower
    return siren
