"""Hard-concrete L0 gates (Louizos et al. 2017): the paper's eq. 5-6, exact masks, and the interface of controllers.

A gate z in [0, 1] has one parameter phi = log_alpha. With u ~ U(0, 1):

    s = sigmoid((log u - log(1 - u) + log_alpha) / beta) (zeta - gamma) + gamma,      z = min(1, max(0, s))

so that z is exactly 0 or exactly 1 with positive probability, and P(z > 0) has a closed form.
"""

import dataclasses
import math
from typing import ClassVar

import flax.struct
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

_EPSILON = 1e-6
"""u is drawn from (_EPSILON, 1 - _EPSILON), as in the reference code, so that its logits stay finite."""

_OPEN_PROBABILITY = 0.9
"""Sigmoid of the mean log_alpha at initialisation; the probability P(z > 0) is higher, 0.98."""

_SPREAD = 0.01
"""Standard deviation of log_alpha at initialisation."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class HardConcrete:
    """The hard-concrete distribution of a gate.

    >>> gate = HardConcrete()
    >>> gate.test_gate(jnp.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    >>> float(gate.test_l0(jnp.array([-3.0, 0.0, 3.0])))
    2.0

    Attributes:
      beta: temperature, > 0.
      gamma: lower end of the stretched interval, < 0.
      zeta: upper end of the stretched interval, > 1.

    Raises:
      ValueError: if a parameter is outside its range.
    """

    beta: float = 2 / 3
    gamma: float = -0.1
    zeta: float = 1.1

    def __post_init__(self):
        if not self.beta > 0:
            raise ValueError(f"HardConcrete.beta must be > 0, got {self.beta}")
        if not (self.gamma < 0 and self.zeta > 1):
            raise ValueError(f"HardConcrete needs gamma < 0 and zeta > 1, got gamma={self.gamma}, zeta={self.zeta}")

    @property
    def closed_below(self) -> float:
        """The value of log_alpha at and below which the test-time gate is exactly zero (-2.398 by default)."""
        return math.log(-self.gamma / self.zeta)

    def sample(self, key: Key[Array, ""], log_alpha: Float[Array, "..."]) -> Float[Array, "..."]:
        """Draws one Monte-Carlo sample of the gates, each in [0, 1] (eq. 6)."""
        u = jax.random.uniform(key, log_alpha.shape, log_alpha.dtype, _EPSILON, 1 - _EPSILON)
        return self._stretch_and_clip(jax.nn.sigmoid((jnp.log(u) - jnp.log1p(-u) + log_alpha) / self.beta))

    def test_gate(self, log_alpha: Float[Array, "..."]) -> Float[Array, "..."]:
        """Deterministic gates used at test time: min(1, max(0, sigmoid(log_alpha) (zeta - gamma) + gamma))."""
        return self._stretch_and_clip(jax.nn.sigmoid(log_alpha))

    def _stretch_and_clip(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.clip(s * (self.zeta - self.gamma) + self.gamma, 0, 1)

    def probability_open(self, log_alpha: Float[Array, "..."]) -> Float[Array, "..."]:
        """P(z > 0) = 1 - Q(s <= 0) = sigmoid(log_alpha - beta log(-gamma / zeta)), the penalty of eq. 5."""
        return jax.nn.sigmoid(log_alpha - self.beta * self.closed_below)

    def expected_l0(self, log_alpha: Float[Array, "..."]) -> Float[Array, ""]:
        """Expected number of open gates when they are sampled."""
        return jnp.sum(self.probability_open(log_alpha))

    def test_l0(self, log_alpha: Float[Array, "..."]) -> Float[Array, ""]:
        """Number of gates open at test time, as a float, so that it can steer a controller."""
        return jnp.sum((log_alpha > self.closed_below).astype(jnp.float32))


def initial_log_alpha(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """log_alpha ~ N(logit(0.9), 0.01^2), as in the reference code of Louizos et al.: nearly all gates start open."""
    logit = math.log(_OPEN_PROBABILITY / (1 - _OPEN_PROBABILITY))
    return logit + _SPREAD * jax.random.normal(key, shape)


def top_n_mask(scores: Float[Array, "..."], n: int | Int[Array, ""]) -> Bool[Array, "..."]:
    """True at exactly the `n` largest scores; of equal scores those with lower indices come first.

    >>> top_n_mask(jnp.array([0.3, 0.9, 0.3, 0.1]), 2).tolist()
    [True, True, False, False]

    Raises:
      ValueError: if `n` is a Python number outside 0 to the number of scores.
    """
    if isinstance(n, int) and not 0 <= n <= scores.size:
        raise ValueError(f"cannot keep {n} of {scores.size} gates")
    return ranks(scores) < n


def ranks(scores: Float[Array, "..."]) -> Int[Array, "..."]:
    """Number of scores that are larger than each one, or equal to it with a lower index.

    >>> ranks(jnp.array([0.3, 0.9, 0.3, 0.1])).tolist()
    [1, 0, 2, 3]
    """
    order = jnp.argsort(-scores.ravel(), stable=True)
    return jnp.zeros(scores.size, jnp.int32).at[order].set(jnp.arange(scores.size)).reshape(scores.shape)


class GateState(flax.struct.PyTreeNode):
    """What a controller carries from one outer step to the next; it is not learned by gradient descent.

    Attributes:
      mask: which gates are open at test time once that is decided; until then all are.
    """

    mask: Bool[Array, "*gates"]

    @property
    def penalty_weight(self) -> Float[Array, ""]:
        """Factor of the expected number of open gates in the outer loss: lambda of eq. 8."""
        return jnp.zeros(())

    def at_test_time(self) -> "GateState":
        """The same gates with nothing random about them."""
        return self

    def at_budget(self, budget: int) -> "GateState":
        """The gates of test time at one of the budgets that they were trained for; here there is one."""
        del budget
        return self


class Controller:
    """The interface of what decides which gates are open, and when; one instance serves a whole training run.

    `budget.BudgetController` learns gates, `prune.PruningRounds` prunes; a learner without a controller has no gates.

    Attributes:
      has_log_alpha: whether the gates have a parameter log_alpha, which the outer loop learns as `theta["log_alpha"]`.
      keep_every: number of outer steps between the states that are evaluated besides the last one; None if none are.
    """

    has_log_alpha: ClassVar[bool] = False
    keep_every = None

    def check(self, gates: int) -> None:
        """Raises a ValueError if the controller cannot do its work with so many gates."""

    def for_any_budget(self) -> "Controller":
        """The part of the controller that decides what is compiled: the budget is data and belongs to the state."""
        return self

    def start(self, shape: tuple[int, ...]) -> GateState:
        """The state before the first outer step: all gates open."""
        raise NotImplementedError

    def sample(
        self, gates: GateState, log_alpha: Float[Array, "*gates"] | None, key: Key[Array, ""]
    ) -> Float[Array, "*gates"]:
        """The gates z of one signal in one outer step; `key` is unused where nothing is random."""
        del log_alpha, key
        return gates.mask.astype(jnp.float32)

    def expected_l0(self, log_alpha: Float[Array, "*gates"] | None) -> Float[Array, ""]:
        """Expected number of open gates, which the outer loss penalises; 0 where no gate is random."""
        del log_alpha
        return jnp.zeros(())

    def next(
        self,
        gates: GateState,
        theta: dict[str, PyTree],
        field,
        key: Key[Array, ""],
        step: Int[Array, ""],
        outer_steps: int,
    ) -> tuple[GateState, dict[str, Float[Array, ""]]]:
        """The state for the outer step after `step`, and what is logged.

        Args:
          gates: state during step `step`.
          theta: what the outer loop has learned, after step `step`.
          field: the learner's field.
          key: randomness of step `step`.
          step: index of the outer step, from 0.
          outer_steps: number of outer steps of the run.

        Returns:
          The next state, and at least `open_gates`: the number of gates that are open at test time now.
        """
        raise NotImplementedError
