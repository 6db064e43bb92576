"""The outer optimiser: clipping, warm-up and decay, and one learning rate per group of parameters."""

import dataclasses
import functools

import gin
import jax
import optax
import optax.contrib

OPTIMIZERS = {
    "adam": optax.adam,
    "nadam": optax.nadam,
    "adabelief": optax.adabelief,
    "lion": functools.partial(optax.lion, weight_decay=0.0),
    # Updates of kernels are orthogonalised and scaled to the size of Adam's; biases have NAdam.
    "muon": functools.partial(optax.contrib.muon, consistent_rms=0.2),
}
"""Name of an optimiser -> function that makes its gradient transformation from a learning rate or schedule."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class OuterOptimizer:
    """The optimiser of the outer loop; by default Adam as the reference codes use it (constant 3e-6, no clipping).

    Attributes:
      learning_rate: learning rate of the field's parameters.
      inner_lr_factor: the MetaSGD learning rates are learned at `learning_rate` times this.
      gate_learning_rate: learning rate of log_alpha; constant, because the gates have to move from open to closed in
        time.
      warmup: fraction of the outer steps during which the learning rates rise linearly from 0.
      decay: whether the learning rates then decay along a cosine, to `floor` at the last step.
      floor: fraction of the learning rates that the decay leaves, which further steps keep.
      clip_norm: largest global norm of the gradient with respect to the field's parameters and the MetaSGD learning
        rates together (without log_alpha, so that a method with gates is clipped like one without); None for no limit.
      optimizer: optimiser of the field's parameters, a key of `OPTIMIZERS`; all other groups have Adam.

    Raises:
      ValueError: if `warmup` is not in [0, 1), or for an unknown optimiser.
    """

    learning_rate: float = 3e-6
    inner_lr_factor: float = 1.0
    gate_learning_rate: float = 3e-4
    warmup: float = 0.0
    decay: bool = False
    floor: float = 0.0
    clip_norm: float | None = None
    optimizer: str = dataclasses.field(default="adam", metadata={"id": "rule"})

    def __post_init__(self):
        if not 0 <= self.warmup < 1:
            raise ValueError(f"OuterOptimizer.warmup must be in [0, 1), got {self.warmup}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"OuterOptimizer.optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")

    def build(self, outer_steps: int) -> optax.GradientTransformation:
        """The gradient transformation of theta (`MetaLearner.init`) for a run of `outer_steps` steps."""
        rise = int(self.warmup * outer_steps)
        plateau = (
            optax.cosine_decay_schedule(1.0, outer_steps - rise, self.floor)
            if self.decay
            else optax.constant_schedule(1.0)
        )
        schedule = optax.join_schedules([optax.linear_schedule(0.0, 1.0, rise), plateau], [rise])

        def scheduled(name, factor=1.0):
            return OPTIMIZERS[name](lambda step: self.learning_rate * factor * schedule(step))

        clip = optax.identity() if self.clip_norm is None else optax.clip_by_global_norm(self.clip_norm)
        clipped = {"field": "clip", "inner_lr": "clip", "log_alpha": "free"}
        groups = {
            "field": scheduled(self.optimizer),
            "inner_lr": scheduled("adam", self.inner_lr_factor),
            "log_alpha": optax.adam(self.gate_learning_rate),
        }
        chain = optax.chain(
            optax.partition({"clip": clip, "free": optax.identity()}, lambda theta: {k: clipped[k] for k in theta}),
            optax.partition(groups, lambda theta: {k: k for k in theta}),
        )

        def update(gradient, state, theta=None):
            # optax multiplies floats by its integer step counts, a promotion that the tests forbid everywhere else.
            with jax.numpy_dtype_promotion("standard"):
                return chain.update(gradient, state, theta)

        return optax.GradientTransformation(chain.init, update)
