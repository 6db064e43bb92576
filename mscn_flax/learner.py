"""A field, its gates, and how its code is fitted to one signal (the inner part of eq. 8).

What the outer loop learns is a dict `theta`: the field's parameters (theta0 of the paper), the MetaSGD learning rates,
the curvature of the inner loop if there is one, and, if the gates are learned, their log_alpha (phi0). What the inner
loop adapts is a dict too: the code of the signal (delta theta) and, if `adapt_gates` is set, an update of log_alpha
(delta phi).
"""

import dataclasses
import math

import flax.linen as nn
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from mscn_flax import metrics
from mscn_flax.adapt import adapt, meta_sgd
from mscn_flax.curvature import Curvature
from mscn_flax.delta import DeltaSiren
from mscn_flax.gates import Controller, GateState, initial_log_alpha
from mscn_flax.siren import base_siren
from mscn_flax.sparsity import CodeGates, Form, GradientGates

Theta = dict[str, PyTree]


@gin.configurable
@dataclasses.dataclass(frozen=True)
class MetaLearner:
    """A field, its gates, and how its code is fitted to one signal.

    Attributes:
      field: maps coordinates and a code to values, see `siren.py` and `delta.py`.
      controller: which gates are open, and when, see `gates.Controller`; None for a method without gates (Functa).
      form: where the gates act, see `sparsity.py`.
      inner_steps: K, number of gradient steps per signal.
      inner_lr_range: the inner learning rates start at U(low, high), one per entry of the code.
      meta_sgd: whether the outer loop learns the inner learning rates; otherwise they keep their first values.
      first_order: drop second derivatives.
      truncate: number of inner steps, counted from the last, that the outer gradient flows through; None for all.
      remat: keep memory constant in `inner_steps`, see `adapt`.
      linearise: see `adapt`; None for where memory allows it, see `memory.linearises`. For training alone.
      tile: number of points of a signal, or of rays, that are worked on at a time, see `tiles.tile_size`; None for all.
      adapt_gates: give each signal its own pattern by adapting log_alpha in the inner loop (delta phi, eq. 8).
      gate_inner_lr: first value of the learned learning rates of delta phi; large, because the mean loss changes by
        only about 1e-5 per unit of log_alpha.
      curvature: a matrix that the outer loop learns beside the inner learning rates, see `curvature.py`; None for
        MetaSGD alone.
      lr_per_step: learn learning rates for each inner step of training; steps beyond these have those of the last one.
      train_steps: number of gradient steps per signal in training where others are fitted with `inner_steps`; None for
        as many.
      prefer_coordinate_free: how much higher log_alpha starts for modulations of the first layer's
        `Siren.coordinate_free` units, whose gates close the later for it; they shift whole layers, which gates with a
        common start find out too late in short runs.

    Raises:
      ValueError: for values outside their range, a budget above the number of gates, or `adapt_gates` without gates
        that can be adapted.
    """

    field: nn.Module | DeltaSiren
    controller: Controller | None = None
    form: Form = dataclasses.field(default_factory=CodeGates)
    inner_steps: int = 3
    inner_lr_range: tuple[float, float] = (0.005, 0.1)
    meta_sgd: bool = True
    first_order: bool = False
    truncate: int | None = None
    remat: bool = True
    linearise: bool | None = None
    tile: int | None = None
    adapt_gates: bool = False
    gate_inner_lr: float = 1e4
    curvature: Curvature | None = None
    lr_per_step: bool = False
    train_steps: int | None = None
    prefer_coordinate_free: float = 0.0

    def __post_init__(self):
        if self.prefer_coordinate_free:
            siren = base_siren(self.field)
            gated = self.has_log_alpha and self.form.gate_shape(self.field) == siren.code_shape
            if not (gated and siren.coordinate_free):
                needs = "learned gates of the modulations of a SIREN with coordinate_free units"
                raise ValueError(f"MetaLearner.prefer_coordinate_free needs {needs}")
        if self.controller is not None:
            self.controller.check(math.prod(self.form.gate_shape(self.field)))
        for name in ("tile", "truncate", "train_steps"):
            if (value := getattr(self, name)) is not None and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"MetaLearner.{name} must be at least 1 and whole, got {value!r}")
        if self.inner_steps < 1:
            raise ValueError(f"MetaLearner.inner_steps must be at least 1, got {self.inner_steps}")
        if self.adapt_gates and not self.has_log_alpha:
            raise ValueError(f"MetaLearner.adapt_gates needs learned gates (BudgetController), got {self.controller}")
        if self.adapt_gates and isinstance(self.form, GradientGates):
            raise ValueError("MetaLearner.adapt_gates needs gates that the inner loss sees, gradient gates are not")
        if self.adapt_gates and self.controller.nested:
            raise ValueError(
                "MetaLearner.adapt_gates gives each signal a mask of its own, which is not nested in others"
            )
        if self.adapt_gates and self.form.gates_field:
            raise ValueError(f"MetaLearner.adapt_gates needs gates of the code, {self.form} gates what signals share")

    @property
    def has_log_alpha(self) -> bool:
        """Whether there are gates with a log_alpha."""
        return self.controller is not None and self.controller.has_log_alpha

    @property
    def steps_in_training(self) -> int:
        """Number of gradient steps per signal in training."""
        return self.inner_steps if self.train_steps is None else self.train_steps

    def for_any_budget(self) -> "MetaLearner":
        """The part of the learner that decides what is compiled; equal for learners that differ in the budget alone."""
        if self.controller is None:
            return self
        return dataclasses.replace(self, controller=self.controller.for_any_budget())

    @property
    def shares_pattern(self) -> bool:
        """Whether the codes of all signals have the same non-zero entries."""
        return not self.adapt_gates

    def init(self, key: Key[Array, ""], coords: Float[Array, "N d"]) -> Theta:
        """theta0, the inner learning rates and phi0; a function of `key` that does not depend on the budget."""
        field_key, lr_key, gate_key = jax.random.split(key, 3)
        shape = self.field.code_shape
        low, high = self.inner_lr_range
        theta = {
            "field": self.field.init(field_key, coords, jnp.zeros(shape))["params"],
            "inner_lr": {"code": jax.random.uniform(lr_key, shape, minval=low, maxval=high)},
        }
        if self.has_log_alpha:
            gates = self.form.gate_shape(self.field)
            theta["log_alpha"] = initial_log_alpha(gate_key, gates)
            if self.prefer_coordinate_free:
                first = theta["log_alpha"].at[0, : base_siren(self.field).coordinate_free]
                theta["log_alpha"] = first.add(self.prefer_coordinate_free)
            if self.adapt_gates:
                theta["inner_lr"]["log_alpha"] = jnp.full(gates, self.gate_inner_lr, jnp.float32)
        if self.lr_per_step:
            steps = self.steps_in_training
            theta["inner_lr"] = jax.tree.map(lambda lr: jnp.stack([lr] * steps), theta["inner_lr"])
        if self.curvature is not None:
            theta["curvature"] = self.curvature.init(jax.random.fold_in(key, 3), self.field)
        return theta

    def init_gates(self) -> GateState | None:
        """The state with all gates open; None for a method without gates."""
        return None if self.controller is None else self.controller.start(self.form.gate_shape(self.field))

    def gated(self, theta: Theta, gates: GateState | None, key: Key[Array, ""]) -> Theta:
        """theta with the field's parameters gated, where that is what the form gates; `key` as in `fit`."""
        if gates is None or not self.form.gates_field:
            return theta
        z = self.controller.sample(gates, theta["log_alpha"], key)
        return theta | {"field": self.form.params(self.field, theta["field"], z)}

    def settled(self, theta: Theta, gates: GateState | None) -> tuple["MetaLearner", Theta, GateState | None]:
        """An equivalent learner of test time, whose values follow from theta and code alone, with its theta and gates.

        Gates of the field's parameters are applied to these, and there is nothing left of the gates themselves.
        """
        if gates is None or not self.form.gates_field:
            return self, theta, gates
        theta = self.gated(theta, gates.at_test_time(), jax.random.key(0))
        theta = {name: each for name, each in theta.items() if name != "log_alpha"}
        return dataclasses.replace(self, controller=None, form=CodeGates()), theta, None

    def render(self, theta: Theta, code: Float[Array, "*code"], coords: Float[Array, "N d"]) -> Float[Array, "N c"]:
        """Values of the field at `coords`, given a code that is gated already."""
        return self.field.apply({"params": theta["field"]}, coords, code)

    def _precondition(self, inner_lr: PyTree, curvature: PyTree, gradient: PyTree) -> PyTree:
        """The inner step with curvature, lr z g + z B(z g), where forms that gate the code have gated g already."""

        def gated(update):
            return update if curvature["gates"] is None else self.form.gate_update(update, curvature["gates"])

        step = meta_sgd(inner_lr, None, gradient)
        more = self.curvature.correction(self.field, curvature["factors"], gated(gradient["code"]), step["code"])
        return step | {"code": step["code"] + gated(more)}

    def fit(
        self,
        theta: Theta,
        gates: GateState | None,
        key: Key[Array, ""],
        coords: Float[Array, "*K N d"],
        targets: Float[Array, "*K N c"],
        *,
        steps: int | None = None,
        linearise: bool = False,
    ) -> tuple[Float[Array, "*code"], Float[Array, ""], Float[Array, " K"]]:
        """Fits the code of one signal.

        The gate sample is drawn once and held through the inner loop and the outer loss (the single Monte-Carlo
        sample of eq. 7), afresh for every signal and outer step.

        Args:
          theta: what the outer loop has learned.
          gates: state of the gates; None for a method without gates.
          key: randomness of the gate sample; unused once the gates are frozen.
          coords: coordinates of the signal's points; with a leading axis the coordinates for each inner step, of which
            there may be more than steps.
          targets: values of the signal at these points.
          steps: K, number of inner steps; `inner_steps` if None.
          linearise: see `adapt`.

        Returns:
          The gated code, the expected number of open gates, and the loss before each inner step.
        """
        theta = self.gated(theta, gates, key)
        inner_lr = theta["inner_lr"] if self.meta_sgd else jax.lax.stop_gradient(theta["inner_lr"])
        steps = self.inner_steps if steps is None else steps
        if self.lr_per_step:
            learned = jnp.minimum(jnp.arange(steps), len(inner_lr["code"]) - 1)
            inner_lr = jax.tree.map(lambda lr: lr[learned], inner_lr)
        start = jax.tree.map(lambda lr: jnp.zeros_like(lr[0] if self.lr_per_step else lr), inner_lr)

        def phi(theta, adapted):
            return theta["log_alpha"] + adapted["log_alpha"] if self.adapt_gates else theta.get("log_alpha")

        def gate(theta, gates, key, adapted, *, last=False):
            if self.adapt_gates:
                return self.controller.sample_adapted(gates, phi(theta, adapted), key, last=last)
            return self.controller.sample(gates, phi(theta, adapted), key)

        def code(theta, gates, key, adapted, *, last=False):
            if gates is None:
                return adapted["code"]
            z = gate(theta, gates, key, adapted, last=last)
            return self.form.code(self.field, theta["field"], adapted["code"], z)

        def loss(adapted, theta, constant, seen):
            (gates, key), (points, values) = constant, seen
            return metrics.mse(self.render(theta, code(theta, gates, key, adapted), points), values)

        z = None
        if gates is not None and not self.adapt_gates:
            # z does not change within the inner loop.
            z = gate(theta, gates, key, start)
            gate_lr = self.form.gate_update
            inner_lr = {"code": (jax.vmap(gate_lr, (0, None)) if self.lr_per_step else gate_lr)(inner_lr["code"], z)}
        curvature = None if self.curvature is None else {"factors": theta["curvature"], "gates": z}
        fresh = targets.ndim == 3

        def steps_on(start, theta, inner_lr, curvature, first, last):
            points = (coords[first:last], targets[first:last]) if fresh else (coords, targets)
            if self.lr_per_step:
                inner_lr = jax.tree.map(lambda lr: lr[first:last], inner_lr)
            return adapt(
                loss,
                start,
                inner_lr,
                theta,
                (gates, key),
                points,
                steps=last - first,
                precondition=meta_sgd if self.curvature is None else self._precondition,
                curvature=curvature,
                first_order=self.first_order,
                remat=self.remat,
                linearise=linearise,
                fresh=fresh,
                lr_per_step=self.lr_per_step,
                tile=self.tile,
            )

        cut, before = steps - min(self.truncate or steps, steps), []
        if cut:
            constants = jax.lax.stop_gradient((theta, inner_lr, curvature))
            start, before = jax.lax.stop_gradient(steps_on(start, *constants, 0, cut))
        adapted, losses = steps_on(start, theta, inner_lr, curvature, cut, steps)
        losses = jnp.concatenate([before, losses]) if cut else losses
        expected = jnp.zeros(()) if gates is None else self.controller.expected_l0(phi(theta, adapted))
        return code(theta, gates, key, adapted, last=True), expected, losses
