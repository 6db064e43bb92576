"""Bringing the gates to an exact budget: a controller on the number of gates open at test time, then a top-n mask.

The paper's budgets are exact counts but its mechanism is not stated. Here the target for the test-time count falls
geometrically from all gates to n between `open_until` and `close_by` of the outer steps, while a proportional-integral
controller on log lambda (eq. 8) makes the count follow. The proportional part is what damps it: log_alpha integrates
lambda, so an integral alone swings (seen: 8 gates open where 64 were asked for). At `freeze_at` the n gates with the
largest log_alpha become a binary mask, with which the rest of the steps fine-tune. Expected L0 is no substitute for the
count: a gate with P(z > 0) = 0.4 counts 0.4 there and 1 here.

Masks of several budgets can be nested: each holds the gates with the largest log_alpha of the next, and the rest of the
steps fine-tune all of them, as every signal draws a budget of its own.
"""

import dataclasses
import math
from typing import ClassVar

import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mscn_flax.gates import Controller, GateState, HardConcrete, ranks, top_n_mask

INITIAL_LAMBDA = 1e-5
"""lambda of eq. 8 at the first step."""

_PROPORTIONAL = 5.0
"""Weight of the present error, log(open / target), in log lambda."""

_INTEGRAL = 0.1
"""Weight of the sum of the errors of all steps in log lambda."""

_BOUNDS = (math.log(INITIAL_LAMBDA / 10), math.log(1.0))
"""Range of the integral part of log lambda. The lower bound keeps gates that close too fast from leaving it lost far
below, the upper bound keeps a count that cannot fall fast enough from winding it up."""


class LearnedGates(GateState):
    """State of gates that are learned until they are frozen.

    Attributes:
      frozen: whether `mask` has replaced the learned gates.
      budget: number of gates open at the end; data, so that another budget needs no other compilation.
      log_lambda: logarithm of lambda in eq. 8, for the next step.
      log_lambda_integral: its integral part.
      rank: of each gate by log_alpha, 0 for the largest, once the gates are frozen; None where masks are not nested.
    """

    frozen: Bool[Array, ""]
    budget: Int[Array, ""]
    log_lambda: Float[Array, ""]
    log_lambda_integral: Float[Array, ""]
    rank: Int[Array, "*gates"] | None = None

    @property
    def penalty_weight(self) -> Float[Array, ""]:
        """See `GateState.penalty_weight`; frozen gates do not depend on log_alpha, which it would only move idly."""
        return jnp.where(self.frozen, 0, jnp.exp(self.log_lambda))

    def at_test_time(self) -> "LearnedGates":
        """See `GateState.at_test_time`; nothing draws a budget any more."""
        return self.replace(frozen=jnp.ones((), bool), rank=None)

    def at_budget(self, budget):
        """See `GateState.at_budget`."""
        return self if self.rank is None else self.replace(mask=self.rank < budget, rank=None)


@gin.configurable
@dataclasses.dataclass(frozen=True)
class BudgetController(Controller):
    """Learned gates that a schedule and a controller of lambda bring to a budget.

    Attributes:
      budget: n, number of gates open at the end. What is compiled must take it from the state (`LearnedGates.budget`),
        never from here.
      open_until: fraction of the outer steps during which the target is all gates, so that closing starts from a
        trained dense state.
      close_by: fraction of the outer steps by which the target has fallen to n.
      freeze_at: fraction of the outer steps at which the top-n mask replaces the learned gates.
      hard_concrete: distribution of the gates.
      nested: budgets of nested masks, the largest of them `budget`; once the gates are frozen each signal draws one of
        them. Empty for one mask.

    Raises:
      ValueError: unless 0 <= open_until < close_by <= freeze_at <= 1.
    """

    budget: int = 64
    close_by: float = 0.3
    freeze_at: float = 0.4
    hard_concrete: HardConcrete = dataclasses.field(default_factory=HardConcrete)
    open_until: float = 0.0
    nested: tuple[int, ...] = ()

    has_log_alpha: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 <= self.open_until < self.close_by <= self.freeze_at <= 1:
            raise ValueError(
                "BudgetController needs 0 <= open_until < close_by <= freeze_at <= 1, "
                f"got open_until={self.open_until}, close_by={self.close_by}, freeze_at={self.freeze_at}"
            )

    def check(self, gates: int) -> None:
        """See `Controller.check`."""
        if not 1 <= self.budget <= gates:
            raise ValueError(f"a budget of {self.budget} needs as many gates, the field has {gates}")
        if self.nested and not (min(self.nested) >= 1 and max(self.nested) == self.budget):
            raise ValueError(
                f"BudgetController.nested needs budgets from 1 to {self.budget}, and that one too, got {self.nested}"
            )

    def for_any_budget(self) -> "BudgetController":
        """See `Controller.for_any_budget`."""
        return self if self.nested else dataclasses.replace(self, budget=1)

    def start(self, shape: tuple[int, ...]) -> LearnedGates:
        """See `Controller.start`."""
        log_lambda = jnp.log(jnp.float32(INITIAL_LAMBDA))
        return LearnedGates(
            mask=jnp.ones(shape, bool),
            frozen=jnp.zeros((), bool),
            budget=jnp.full((), self.budget, jnp.int32),
            log_lambda=log_lambda,
            log_lambda_integral=log_lambda,
            rank=jnp.zeros(shape, jnp.int32) if self.nested else None,
        )

    def sample(self, gates, log_alpha, key):
        """See `Controller.sample`; the mask once the gates are frozen, of nested masks one."""
        sample, mask = self.hard_concrete.sample(key, log_alpha), gates.mask
        if gates.rank is not None:
            mask = gates.rank < jax.random.choice(key, jnp.array(self.nested))
        return jnp.where(gates.frozen, mask.astype(sample.dtype), sample)

    def sample_adapted(self, gates, log_alpha, key, *, last):
        """The gates z of a signal whose own log_alpha the inner loop adapts (delta phi, eq. 8).

        Frozen gates never close fully within the inner loop: a closed one has no gradient that could open it. After the
        inner loop (`last`) they are the signal's own top-n pattern, with the gradient of the open gate passed straight
        through.
        """
        soft = jax.nn.sigmoid(log_alpha)
        if last:
            top = top_n_mask(log_alpha, gates.budget).astype(soft.dtype)
            soft = soft + jax.lax.stop_gradient(top - soft)
        return jnp.where(gates.frozen, soft, self.hard_concrete.sample(key, log_alpha))

    def expected_l0(self, log_alpha):
        """See `Controller.expected_l0`."""
        return self.hard_concrete.expected_l0(log_alpha)

    def next(self, gates, theta, field, key, step, outer_steps):
        """See `Controller.next`; `lambda` is logged besides."""
        del field, key
        log_alpha = theta["log_alpha"]
        kept = jnp.sum(gates.mask, dtype=jnp.float32)
        open_gates = jnp.where(gates.frozen, kept, self.hard_concrete.test_l0(log_alpha))
        target = self.target(step + 1, outer_steps, log_alpha.size, gates.budget.astype(jnp.float32))
        integral, log_lambda = self.control(gates.log_lambda_integral, open_gates, target)
        freeze_now = self.is_frozen(step + 1, outer_steps) & ~gates.frozen
        if gates.rank is not None:
            gates = gates.replace(rank=jnp.where(freeze_now, ranks(log_alpha), gates.rank))
        gates = gates.replace(
            mask=jnp.where(freeze_now, top_n_mask(log_alpha, gates.budget), gates.mask),
            frozen=gates.frozen | freeze_now,
            log_lambda=log_lambda,
            log_lambda_integral=integral,
        )
        return gates, {"open_gates": open_gates, "lambda": jnp.exp(log_lambda)}

    def target(self, step: Int[Array, ""], outer_steps: int, gates: int, budget: Float[Array, ""]) -> Float[Array, ""]:
        """Number of gates that should be open after `step` of `outer_steps` steps: gates (budget / gates)^progress."""
        since = step.astype(jnp.float32) - self.open_until * outer_steps
        progress = jnp.clip(since / ((self.close_by - self.open_until) * outer_steps), 0, 1)
        return gates * (budget / gates) ** progress

    def is_frozen(self, step: Int[Array, ""], outer_steps: int) -> Array:
        """Whether outer step `step` (from 0) trains with the mask."""
        return step >= int(self.freeze_at * outer_steps)

    def control(
        self, integral: Float[Array, ""], open_gates: Float[Array, ""], target: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The integral part of log lambda after this step, and the log lambda of the next step.

        The error log(open / target) is clipped to [-1, 1].
        """
        error = jnp.clip(jnp.log(jnp.maximum(open_gates, 1) / target), -1, 1)
        integral = jnp.clip(integral + _INTEGRAL * error, *_BOUNDS)
        return integral, integral + _PROPORTIONAL * error
