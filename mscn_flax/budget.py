"""Bringing the gates to an exact budget: a controller on the number of gates open at test time, then a top-n mask.

The paper's budgets are exact counts but its mechanism is not stated. Here the target for the test-time count falls
geometrically from all gates to n during the first `close_by` of the outer steps, while a proportional-integral
controller on log lambda (eq. 8) makes the count follow. The proportional part is what damps it: log_alpha integrates
lambda, so an integral alone swings (seen: 8 gates open where 64 were asked for). At `freeze_at` the n gates with the
largest log_alpha become a binary mask, with which the rest of the steps fine-tune. Expected L0 is no substitute for the
count: a gate with P(z > 0) = 0.4 counts 0.4 there and 1 here.
"""

import dataclasses
import math
from typing import ClassVar

import gin
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mscn_flax.gates import GateState, top_n_mask


@gin.configurable
@dataclasses.dataclass(frozen=True)
class BudgetController:
    """Schedule and controller for lambda.

    Attributes:
      budget: n, gates open at the end.
      close_by: fraction of the outer steps by which the target has fallen to n.
      freeze_at: fraction of the outer steps at which the top-n mask replaces the gates.
      initial_lambda: lambda of eq. 8 at the first step.
      proportional: weight of the present error, log(open / target), in log lambda.
      integral: weight of the sum of the errors of all steps.
      max_lambda: bound of the integral part, so that a count that cannot fall fast enough does not wind it up.

    Raises:
      ValueError: where the fractions are not 0 < close_by <= freeze_at <= 1.
    """

    budget: int = 64
    close_by: float = 0.3
    freeze_at: float = 0.4
    initial_lambda: float = 1e-5
    proportional: float = 5.0
    integral: float = 0.1
    max_lambda: float = 1.0

    learns_gates: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 < self.close_by <= self.freeze_at <= 1:
            raise ValueError(
                "BudgetController needs 0 < close_by <= freeze_at <= 1, "
                f"got close_by={self.close_by}, freeze_at={self.freeze_at}"
            )

    def start(self, shape: tuple[int, ...]) -> GateState:
        """All gates learned, none frozen."""
        return GateState.all_open(shape, frozen=False, budget=self.budget, initial_lambda=self.initial_lambda)

    def next(
        self,
        gates: GateState,
        log_alpha: Float[Array, "*gates"],
        open_gates: Float[Array, ""],
        step: Int[Array, ""],
        outer_steps: int,
    ) -> GateState:
        """The gates for the step after outer step `step` (from 0); `open_gates` is the count at test time."""
        target = self.target(step + 1, outer_steps, log_alpha.size, gates.budget.astype(jnp.float32))
        integral, log_lambda = self.control(gates.log_lambda_integral, open_gates, target)
        freeze_now = self.is_frozen(step + 1, outer_steps) & ~gates.frozen
        return gates.replace(
            mask=jnp.where(freeze_now, top_n_mask(log_alpha, gates.budget), gates.mask),
            frozen=gates.frozen | freeze_now,
            log_lambda=log_lambda,
            log_lambda_integral=integral,
        )

    def target(self, step: Int[Array, ""], outer_steps: int, gates: int, budget: Float[Array, ""]) -> Float[Array, ""]:
        """Gates that should be open after `step` of `outer_steps`: gates (budget / gates)^progress."""
        progress = jnp.clip(step.astype(jnp.float32) / (self.close_by * outer_steps), 0, 1)
        return gates * (budget / gates) ** progress

    def is_frozen(self, step: Int[Array, ""], outer_steps: int) -> Array:
        """Whether outer step `step` (from 0) trains with the mask."""
        return step >= int(self.freeze_at * outer_steps)

    def control(
        self, log_lambda: Float[Array, ""], open_gates: Float[Array, ""], target: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The integral part of log lambda after this step, and the log lambda to use in the next.

        The error is clipped to a factor e either way; the integral part stays within initial_lambda / 10 (so that gates
        that close too fast do not leave it lost far below) and max_lambda.
        """
        error = jnp.clip(jnp.log(jnp.maximum(open_gates, 1) / target), -1, 1)
        bounds = (math.log(self.initial_lambda / 10), math.log(self.max_lambda))
        integral = jnp.clip(log_lambda + self.integral * error, *bounds)
        return integral, integral + self.proportional * error
