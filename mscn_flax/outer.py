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
      curvature_lr_factor: the curvature of the inner loop is learned at `learning_rate` times this.
      gate_learning_rate: learning rate of log_alpha; constant, because the gates have to move from open to closed in
        time.
      warmup: fraction of the outer steps during which the learning rates rise linearly from 0.
      decay: whether the learning rates then decay along a cosine, to `floor` at the last step.
      floor: fraction of the learning rates that the decay leaves, which further steps keep.
      restart_at: fraction of the outer steps at which the schedule begins anew, with a warm-up and a decay over the
        steps that are left (a warm restart, Loshchilov and Hutter 2017; the optimiser's moments stay), for example
        where the gates' mask freezes; each of the two cycles warms up for `warmup` of its own steps. None for never.
      clip_norm: largest global norm of the gradient with respect to the field's parameters and the MetaSGD learning
        rates together (without log_alpha, so that a method with gates is clipped like one without), and likewise of
        that with respect to the curvature; None for no limit.
      optimizer: optimiser of the field's parameters, a key of `OPTIMIZERS`; all other groups have Adam.

    Raises:
      ValueError: if `warmup` is not in [0, 1) or `restart_at` not in (0, 1), or for an unknown optimiser.
    """

    learning_rate: float = 3e-6
    inner_lr_factor: float = 1.0
    curvature_lr_factor: float = 1.0
    gate_learning_rate: float = 3e-4
    warmup: float = 0.0
    decay: bool = False
    floor: float = 0.0
    restart_at: float | None = None
    clip_norm: float | None = None
    optimizer: str = dataclasses.field(default="adam", metadata={"id": "rule"})

    def __post_init__(self):
        if not 0 <= self.warmup < 1:
            raise ValueError(f"OuterOptimizer.warmup must be in [0, 1), got {self.warmup}")
        if self.restart_at is not None and not 0 < self.restart_at < 1:
            raise ValueError(f"OuterOptimizer.restart_at must be in (0, 1) or None, got {self.restart_at}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"OuterOptimizer.optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")

    def build(self, outer_steps: int) -> optax.GradientTransformation:
        """The gradient transformation of theta (`MetaLearner.init`) for a run of `outer_steps` steps."""
        schedule = self._cycle(outer_steps)
        if self.restart_at is not None:
            first = round(self.restart_at * outer_steps)
            if not 0 < first < outer_steps:
                raise ValueError(
                    f"OuterOptimizer.restart_at {self.restart_at} leaves no step before or after, of {outer_steps}"
                )
            schedule = optax.join_schedules([self._cycle(first), self._cycle(outer_steps - first)], [first])

        def scheduled(name, factor=1.0):
            return OPTIMIZERS[name](lambda step: self.learning_rate * factor * schedule(step))

        clip = optax.identity() if self.clip_norm is None else optax.clip_by_global_norm(self.clip_norm)
        clipped = {"field": "clip", "inner_lr": "clip", "curvature": "clip_curvature", "log_alpha": "free"}
        clips = {"clip": clip, "clip_curvature": clip, "free": optax.identity()}
        groups = {
            "field": scheduled(self.optimizer),
            "inner_lr": scheduled("adam", self.inner_lr_factor),
            "curvature": scheduled("adam", self.curvature_lr_factor),
            "log_alpha": optax.adam(self.gate_learning_rate),
        }

        def chain(theta):
            # Without curvature no group for it: its idle state would change the rounding of compiled steps.
            present = {name: each for name, each in groups.items() if name in theta or name != "curvature"}
            return optax.chain(
                optax.partition(clips, {name: clipped[name] for name in theta}),
                optax.partition(present, {name: name for name in theta}),
            )

        def update(gradient, state, theta=None):
            # optax multiplies floats by its integer step counts, a promotion that the tests forbid everywhere else.
            with jax.numpy_dtype_promotion("standard"):
                return chain(gradient).update(gradient, state, theta)

        return optax.GradientTransformation(lambda theta: chain(theta).init(theta), update)

    def _cycle(self, steps: int) -> optax.Schedule:
        """Warm-up and decay over so many steps, from 0 to 1 to `floor`."""
        rise = int(self.warmup * steps)
        plateau = (
            optax.cosine_decay_schedule(1.0, steps - rise, self.floor) if self.decay else optax.constant_schedule(1.0)
        )
        return optax.join_schedules([optax.linear_schedule(0.0, 1.0, rise), plateau], [rise])
