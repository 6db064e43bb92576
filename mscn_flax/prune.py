"""Pruning of weights in the outer loop (MetaSparseINR and its baselines): which weights stay, and narrower networks.

Lee et al. 2021 train a dense initialisation, then in each round remove a fifth of the weights that are left and train
on. Biases are never pruned. Counts are of weights: 0.8^k of them survive round k.
"""

import dataclasses
from typing import ClassVar

import gin
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from mscn_flax.gates import GateState, top_n_mask
from mscn_flax.siren import Siren

AMOUNT = 0.2
"""Part of the surviving weights that a round removes."""


def surviving(weights: int, rounds: int) -> int:
    """Weights left after `rounds` rounds: 0.8^rounds of them, to the nearest whole number."""
    return round(weights * (1 - AMOUNT) ** rounds)


def prune(
    mask: Bool[Array, " P"], scores: Float[Array, " P"], prunable: Bool[Array, " P"], keep: Int[Array, ""]
) -> Bool[Array, " P"]:
    """`mask` without all but the `keep` best-scored of its prunable entries; what is not prunable stays.

    Nothing that `mask` has closed opens again, whatever its score.
    """
    ranked = jnp.where(mask & prunable, scores, -jnp.inf)
    return (top_n_mask(ranked, keep) & mask & prunable) | (mask & ~prunable)


@gin.configurable
@dataclasses.dataclass(frozen=True)
class PruningRounds:
    """Rounds of pruning of theta0 in the outer loop.

    Round k, from 1, prunes right after outer step `dense_steps` + (k - 1) `round_steps` (from 0), so that the state
    after `stop(k)` steps has been trained `round_steps` - 1 steps with what round k left.

    Attributes:
      rounds: how many there are.
      dense_steps: outer steps before the first round.
      round_steps: outer steps from one round to the next.
      criterion: "magnitude" (global, of theta0) or "random".

    Raises:
      ValueError: for another criterion, or a number of steps below 1.
    """

    rounds: int = 20
    dense_steps: int = 150_000
    round_steps: int = 30_000
    criterion: str = "magnitude"

    learns_gates: ClassVar[bool] = False

    def __post_init__(self):
        if self.criterion not in ("magnitude", "random"):
            raise ValueError(f"PruningRounds.criterion is {self.criterion!r}; valid: magnitude, random")
        if self.rounds < 0 or min(self.dense_steps, self.round_steps) < 1:
            raise ValueError(f"PruningRounds needs rounds >= 0 and steps >= 1, got {self}")

    def stop(self, k: int) -> int:
        """Outer steps after which the network of round k is complete; k = 0 is the dense one."""
        return self.dense_steps + k * self.round_steps

    def start(self, shape: tuple[int, ...]) -> GateState:
        """The dense network."""
        return GateState.all_open(shape, frozen=True)

    def next(
        self,
        gates: GateState,
        scores: Float[Array, " P"],
        prunable: Bool[np.ndarray, " P"],
        key: Key[Array, ""],
        step: Int[Array, ""],
    ) -> GateState:
        """The mask for the step after outer step `step` (from 0); `scores` is |theta0|, `key` this step's."""
        counts = jnp.asarray([surviving(int(prunable.sum()), k) for k in range(self.rounds + 1)], jnp.int32)
        since = step - self.dense_steps
        k = since // self.round_steps + 1
        due = (since >= 0) & (since % self.round_steps == 0) & (k <= self.rounds)

        def pruned():
            ranked = scores if self.criterion == "magnitude" else jax.random.uniform(key, scores.shape)
            return prune(gates.mask, ranked, jnp.asarray(prunable), counts[k])

        return gates.replace(mask=jax.lax.cond(due, pruned, lambda: gates.mask))


def siren_weights(siren: Siren, in_dim: int = 2) -> int:
    """Number of weights of a SIREN, biases not counted."""
    return siren.width * (in_dim + (siren.depth - 2) * siren.width + siren.out_dim)


def narrow(siren: Siren, fraction: float, in_dim: int = 2) -> Siren:
    """The narrowest SIREN of even width with at least `fraction` of the weights (the reference code's widths)."""
    wanted = fraction * siren_weights(siren, in_dim)
    for width in range(2, siren.width, 2):
        narrower = siren.clone(width=width)
        if siren_weights(narrower, in_dim) >= wanted:
            return narrower
    return siren
