"""The outer optimiser: clipping, warm-up and decay, one learning rate a group of parameters."""

import dataclasses
import functools

import gin
import jax
import optax
import optax.contrib

RULES = {
    "adam": optax.adam,
    "nadam": optax.nadam,
    "adabelief": optax.adabelief,
    "lion": functools.partial(optax.lion, weight_decay=0.0),
    # Kernels orthogonalised and as large as Adam's updates, biases by NAdam.
    "muon": functools.partial(optax.contrib.muon, consistent_rms=0.2),
}
"""Name -> learning rate or schedule -> transformation."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class OuterOptimizer:
    """Adam as the reference codes use it (constant 3e-6, no clipping) unless told otherwise.

    Attributes:
      rule: of the field's parameters, a key of `RULES`; inner rates and gates have Adam.
      learning_rate: of the field's parameters.
      inner_lr_factor: times `learning_rate` for the MetaSGD learning rates.
      gate_learning_rate: of log_alpha; constant, because the gates have to travel from open to closed on time.
      warmup: fraction of the outer steps during which the rates rise linearly from 0.
      decay: cosine decay to `floor` at the last step.
      floor: fraction of the rates that the decay leaves, and with which a run goes on after that.
      clip_norm: largest global norm of the gradient with respect to the field's parameters and the MetaSGD rates
        together (log_alpha apart, so that a method with gates is clipped like one without); None for no limit.

    Raises:
      ValueError: where `warmup` is not in [0, 1), or there is no such rule.
    """

    learning_rate: float = 3e-6
    inner_lr_factor: float = 1.0
    gate_learning_rate: float = 3e-4
    warmup: float = 0.0
    decay: bool = False
    floor: float = 0.0
    clip_norm: float | None = None
    rule: str = "adam"

    def __post_init__(self):
        if not 0 <= self.warmup < 1:
            raise ValueError(f"OuterOptimizer.warmup must be in [0, 1), got {self.warmup}")
        if self.rule not in RULES:
            raise ValueError(f"OuterOptimizer.rule must be one of {', '.join(RULES)}, got {self.rule!r}")

    def build(self, outer_steps: int) -> optax.GradientTransformation:
        """The transformation for a run of `outer_steps` steps."""
        rise = int(self.warmup * outer_steps)
        plateau = (
            optax.cosine_decay_schedule(1.0, outer_steps - rise, self.floor)
            if self.decay
            else optax.constant_schedule(1.0)
        )
        schedule = optax.join_schedules([optax.linear_schedule(0.0, 1.0, rise), plateau], [rise])

        def scheduled(rule, factor=1.0):
            return RULES[rule](lambda step: self.learning_rate * factor * schedule(step))

        clip = optax.identity() if self.clip_norm is None else optax.clip_by_global_norm(self.clip_norm)
        clipped = {"field": "clip", "inner_lr": "clip", "log_alpha": "free"}
        groups = {
            "field": scheduled(self.rule),
            "inner_lr": scheduled("adam", self.inner_lr_factor),
            "log_alpha": optax.adam(self.gate_learning_rate),
        }
        chain = optax.chain(
            optax.partition({"clip": clip, "free": optax.identity()}, lambda theta: {k: clipped[k] for k in theta}),
            optax.partition(groups, lambda theta: {k: k for k in theta}),
        )

        def update(gradient, state, theta=None):
            # optax multiplies floats by its integer step counts, which the tests forbid everywhere else.
            with jax.numpy_dtype_promotion("standard"):
                return chain.update(gradient, state, theta)

        return optax.GradientTransformation(chain.init, update)
