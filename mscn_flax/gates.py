"""Hard-concrete L0 gates (Louizos et al. 2017): the paper's eq. 5-6, and the exact masks made of them.

A gate z in [0, 1] has one parameter phi = log_alpha. With u ~ U(0, 1):

    s = sigmoid((log u - log(1 - u) + log_alpha) / beta) (zeta - gamma) + gamma,      z = min(1, max(0, s))

so that z is exactly 0 or exactly 1 with positive probability, and P(z > 0) has a closed form.
"""

import dataclasses
import math

import flax.struct
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

_EPSILON = 1e-6
"""u is drawn from (_EPSILON, 1 - _EPSILON), as in the reference code, so that its logits stay finite."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class HardConcrete:
    """The hard-concrete distribution of a gate.

    Attributes:
      beta: temperature, > 0.
      gamma: lower end of the stretch, < 0.
      zeta: upper end of the stretch, > 1.

    Raises:
      ValueError: where a parameter is outside its range.
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
        """The log_alpha at and below which the test-time gate is exactly zero (-2.398 at the defaults)."""
        return math.log(-self.gamma / self.zeta)

    def sample(self, key: Key[Array, ""], log_alpha: Float[Array, "..."]) -> Float[Array, "..."]:
        """One Monte-Carlo sample of the gates, each in [0, 1] (eq. 6)."""
        u = jax.random.uniform(key, log_alpha.shape, log_alpha.dtype, _EPSILON, 1 - _EPSILON)
        return self._stretch_and_clip(jax.nn.sigmoid((jnp.log(u) - jnp.log1p(-u) + log_alpha) / self.beta))

    def test_gate(self, log_alpha: Float[Array, "..."]) -> Float[Array, "..."]:
        """The deterministic gate used at test time: min(1, max(0, sigmoid(log_alpha) (zeta - gamma) + gamma))."""
        return self._stretch_and_clip(jax.nn.sigmoid(log_alpha))

    def _stretch_and_clip(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.clip(s * (self.zeta - self.gamma) + self.gamma, 0, 1)

    def probability_open(self, log_alpha: Float[Array, "..."]) -> Float[Array, "..."]:
        """P(z > 0) = 1 - Q(s <= 0) = sigmoid(log_alpha - beta log(-gamma / zeta)) (the penalty of eq. 5)."""
        return jax.nn.sigmoid(log_alpha - self.beta * self.closed_below)

    def expected_l0(self, log_alpha: Float[Array, "..."]) -> Float[Array, ""]:
        """Expected number of open gates under sampling."""
        return jnp.sum(self.probability_open(log_alpha))

    def test_l0(self, log_alpha: Float[Array, "..."]) -> Float[Array, ""]:
        """Number of gates open at test time; a float, so that it can steer a controller."""
        return jnp.sum((log_alpha > self.closed_below).astype(jnp.float32))


def initial_log_alpha(
    key: Key[Array, ""], shape: tuple[int, ...], open_probability: float, spread: float
) -> Float[Array, "..."]:
    """log_alpha ~ N(logit(open_probability), spread), as in the reference code of Louizos et al.

    Raises:
      ValueError: where `open_probability` is not strictly between 0 and 1.
    """
    if not 0 < open_probability < 1:
        raise ValueError(f"open_probability must be in (0, 1), got {open_probability}")
    logit = math.log(open_probability / (1 - open_probability))
    return logit + spread * jax.random.normal(key, shape)


def top_n_mask(scores: Float[Array, "..."], n: int | Int[Array, ""]) -> Bool[Array, "..."]:
    """True at exactly the `n` largest scores; ties go to the lower index.

    Raises:
      ValueError: where `n` is a number not between 0 and the number of scores.
    """
    if isinstance(n, int) and not 0 <= n <= scores.size:
        raise ValueError(f"cannot keep {n} of {scores.size} gates")
    order = jnp.argsort(-scores.ravel(), stable=True)
    return jnp.zeros(scores.size, bool).at[order].set(jnp.arange(scores.size) < n).reshape(scores.shape)


class GateState(flax.struct.PyTreeNode):
    """What decides the gates besides log_alpha: not learned by gradient.

    Attributes:
      mask: the gates' values once they are frozen.
      frozen: whether `mask` has replaced the learned gates.
      budget: gates open at the end; data, so that another budget needs no other compilation.
      log_lambda: of eq. 8, for the next step.
      log_lambda_integral: state of the controller in `budget.py`.
    """

    mask: Bool[Array, "*gates"]
    frozen: Bool[Array, ""]
    budget: Int[Array, ""]
    log_lambda: Float[Array, ""]
    log_lambda_integral: Float[Array, ""]

    @classmethod
    def all_open(
        cls, shape: tuple[int, ...], *, frozen: bool, budget: int = 0, initial_lambda: float = 1.0
    ) -> "GateState":
        """Every gate open: learned from here on, or `frozen`."""
        log_lambda = jnp.log(jnp.float32(initial_lambda))
        return cls(
            mask=jnp.ones(shape, bool),
            frozen=jnp.full((), frozen),
            budget=jnp.full((), budget, jnp.int32),
            log_lambda=log_lambda,
            log_lambda_integral=log_lambda,
        )
