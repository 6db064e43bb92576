"""Where a gate acts (section 3.2): every form of sparsity through one interface, with the same gates and budget.

A form says how many gates there are (`gate_shape`), what the gates z do to the inner learning rates (`inner_lr`), and
what signal-specific code the adapted values stand for (`code`), always such that values = field(theta0, code). What the
budget counts are the non-zeros of `counted`.

`CodeGates` gates the code itself: shift modulations in eq. 10, theta0 + z * delta in section 3.2. The five forms that
section 3.2 lists act on the field of `delta.py`:

    unstructured      UnstructuredGates     a gate a parameter: (theta0 + delta) * z, eq. 7
    structured        StructuredGates       a gate a column of a hidden kernel
    group             GroupGates            a gate shared by the weights that leave a set of units
    representational  ActivationGates       a gate a hidden unit's activation
    gradient          GradientGates         a gate a parameter's update: eq. 9
"""

import dataclasses

import gin
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from mscn_flax.delta import DeltaSiren, Part


class Form:
    """The interface; what most forms share."""

    def gate_shape(self, field) -> tuple[int, ...]:
        """Shape of z; one gate an entry of the code unless a form says otherwise."""
        return field.code_shape

    def inner_lr(self, lr: Float[Array, "*code"], z: Float[Array, "*gates"]) -> Float[Array, "*code"]:
        """The learning rates of an inner step."""
        del z
        return lr

    def code(
        self, field, params: PyTree, adapted: Float[Array, "*code"], z: Float[Array, "*gates"]
    ) -> Float[Array, "*code"]:
        """The code that `adapted` stands for where the gates are `z`."""
        raise NotImplementedError

    def counted(self, field, params: PyTree, code: Float[Array, "*code"]) -> Float[Array, "*code"]:
        """The array whose non-zeros the budget counts: the signal's code, what is stored for a signal."""
        del field, params
        return code


@dataclasses.dataclass(frozen=True)
class CodeGates(Form):
    """z * code: sparse modulations (eq. 10), or a sparse delta on a dense theta0."""

    def code(self, field, params, adapted, z):
        """See `Form.code`."""
        del field, params
        return adapted * z


@dataclasses.dataclass(frozen=True)
class GradientGates(Form):
    """Updates masked in the inner loop, delta = -beta sum_t z * gradient_t (eq. 9); theta0 stays dense."""

    def inner_lr(self, lr, z):
        """See `Form.inner_lr`; z * (lr * gradient) = (z * lr) * gradient."""
        return lr * z

    def code(self, field, params, adapted, z):
        """See `Form.code`."""
        del field, params, z
        return adapted


class ParameterGates(Form):
    """(theta0 + delta) * mask, a network sparse itself (eq. 7); the forms differ in the mask that they make of z."""

    def mask(self, field: DeltaSiren, z: Float[Array, "*gates"]) -> Float[Array, " P"]:
        """What every parameter is multiplied by."""
        raise NotImplementedError

    def code(self, field, params, adapted, z):
        """See `Form.code`; exactly -theta0 where the mask is 0."""
        theta0 = field.flat(params)
        return (theta0 + adapted) * self.mask(field, z) - theta0

    def counted(self, field, params, code):
        """See `Form.counted`: the final network's parameters, as the baselines count them."""
        return field.flat(params) + code


@dataclasses.dataclass(frozen=True)
class UnstructuredGates(ParameterGates):
    """A gate a parameter."""

    def mask(self, field, z):
        """See `ParameterGates.mask`."""
        del field
        return z


@dataclasses.dataclass(frozen=True)
class StructuredGates(ParameterGates):
    """A gate a column of every hidden kernel: all weights that enter a unit. Closed, the unit is constant."""

    def gate_shape(self, field):
        """Shape [L - 1, w]; see `Form.gate_shape`."""
        return (field.siren.depth - 2, field.siren.width)

    def mask(self, field, z):
        """See `ParameterGates.mask`."""
        return _mask(
            field, {part: jnp.broadcast_to(z[part.layer - 1][None, :], part.shape) for part in _hidden_kernels(field)}
        )


@gin.configurable
@dataclasses.dataclass(frozen=True)
class GroupGates(ParameterGates):
    """A gate shared by all weights that leave `units` neighbouring units for the next hidden layer.

    Raises:
      ValueError: where `units` does not divide the width.
    """

    units: int = 8

    def gate_shape(self, field):
        """Shape [L - 1, w / units]; see `Form.gate_shape`."""
        if field.siren.width % self.units:
            raise ValueError(f"groups of {self.units} units do not divide a layer of {field.siren.width}")
        return (field.siren.depth - 2, field.siren.width // self.units)

    def mask(self, field, z):
        """See `ParameterGates.mask`."""
        rows = jnp.repeat(z, self.units, axis=1)
        return _mask(
            field,
            {part: jnp.broadcast_to(rows[part.layer - 1][:, None], part.shape) for part in _hidden_kernels(field)},
        )


@dataclasses.dataclass(frozen=True)
class ActivationGates(ParameterGates):
    """A gate a hidden unit's activation, the same at all points; (z h) W = h (z W), a row of the next kernel."""

    def gate_shape(self, field):
        """Shape [L, w]; see `Form.gate_shape`."""
        return field.siren.code_shape

    def mask(self, field, z):
        """See `ParameterGates.mask`."""
        kernels = [part for part in field.parts if part.kind == "kernel" and part.layer > 0]
        return _mask(field, {part: jnp.broadcast_to(z[part.layer - 1][:, None], part.shape) for part in kernels})


def _hidden_kernels(field: DeltaSiren) -> list[Part]:
    """The kernels between two hidden layers, all of one shape."""
    return [part for part in field.parts if part.kind == "kernel" and 0 < part.layer < field.siren.depth - 1]


def _mask(field: DeltaSiren, gated: dict[Part, Float[Array, "..."]]) -> Float[Array, " P"]:
    """The parts' masks as one vector; 1 where a part has none."""
    return jnp.concatenate([gated[part].ravel() if part in gated else jnp.ones(part.size) for part in field.parts])
