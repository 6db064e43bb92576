"""Where a gate acts (section 3.2): all forms of sparsity behind one interface, with the same gates and budgets.

A form says how many gates there are (`gate_shape`), what the gates z leave of an inner step (`gate_update`), and which
code of the signal the adapted values stand for (`code`), always such that values = field(theta0, code). A budget
is the number of nonzeros of `counted` that is asked for.

`MapGates` gates the modulations that are reconstructed from a latent vector (section 5.4).
`CodeGates` gates the code itself: shift modulations in eq. 10, theta0 + z * delta in section 3.2. The five forms that
section 3.2 lists act on the field of `delta.py`:

    unstructured      UnstructuredGates     one gate per parameter: (theta0 + delta) * z, eq. 7
    structured        StructuredGates       one gate per column of a hidden kernel
    group             GroupGates            one gate per set of units, shared by all weights that leave the set
    representational  ActivationGates       one gate per activation of a hidden unit
    gradient          GradientGates         one gate per update of a parameter: eq. 9
"""

import dataclasses
from typing import ClassVar

import gin
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from mscn_flax.delta import DeltaSiren, Part
from mscn_flax.siren import base_siren


class Form:
    """The interface of all forms, with what most of them share.

    Attributes:
      gates_field: whether `params` does something.
      shares_network: whether the decoder reads theta0 besides what is `counted`.
    """

    gates_field: ClassVar[bool] = False
    shares_network: ClassVar[bool] = True

    def gate_shape(self, field) -> tuple[int, ...]:
        """Shape of z; one gate per entry of the code unless a form says otherwise."""
        return field.code_shape

    def gate_update(self, update: Float[Array, "*code"], z: Float[Array, "*gates"]) -> Float[Array, "*code"]:
        """What the gates z leave of an update of the adapted values, or of its learning rates; here all of it."""
        del z
        return update

    def code(
        self, field, params: PyTree, adapted: Float[Array, "*code"], z: Float[Array, "*gates"]
    ) -> Float[Array, "*code"]:
        """The code that the adapted values stand for, given the field's parameters theta0 and the gates z."""
        raise NotImplementedError

    def params(self, field, params: PyTree, z: Float[Array, "*gates"]) -> PyTree:
        """The field's parameters as the gates z let them be, for forms that gate what all signals share."""
        del field, z
        return params

    def counted(self, field, params: PyTree, code: Float[Array, "*code"]) -> Float[Array, "*code"]:
        """The array whose nonzeros are to match the budget: the signal's code, which is what is stored of a signal."""
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
    """Updates gated in the inner loop: delta = -beta sum_t z * gradient_t (eq. 9); theta0 stays dense."""

    def gate_update(self, update, z):
        """See `Form.gate_update`; z * (lr * gradient) = (z * lr) * gradient."""
        return update * z

    def code(self, field, params, adapted, z):
        """See `Form.code`."""
        del field, params, z
        return adapted


@dataclasses.dataclass(frozen=True)
class MapGates(Form):
    """One gate per modulation that a linear map reconstructs from a latent vector, which itself is not gated.

    Once the gates are frozen, the rows of the map that are closed play no part (section 5.4).
    """

    gates_field: ClassVar[bool] = True

    def gate_shape(self, field):
        """Shape [L, w]; see `Form.gate_shape`."""
        return base_siren(field).code_shape

    def code(self, field, params, adapted, z):
        """See `Form.code`."""
        del field, params, z
        return adapted

    def params(self, field, params, z):
        """See `Form.params`; weights and biases of the map."""
        if "latent_to_modulations" not in params:  # Those of a radiance field hold those of its field in space.
            return params | {"siren": self.params(field, params["siren"], z)}
        rows = params["latent_to_modulations"]
        gated = {"kernel": rows["kernel"] * z.ravel()[None, :], "bias": rows["bias"] * z.ravel()}
        return params | {"latent_to_modulations": gated}


class ParameterGates(Form):
    """(theta0 + delta) * mask: the network itself is sparse (eq. 7); its forms differ in how z becomes the mask."""

    shares_network: ClassVar[bool] = False

    def mask(self, field: DeltaSiren, z: Float[Array, "*gates"]) -> Float[Array, " P"]:
        """The factor of each parameter."""
        raise NotImplementedError

    def code(self, field, params, adapted, z):
        """See `Form.code`; exactly -theta0 for parameters whose mask is 0."""
        theta0 = field.flat(params)
        return (theta0 + adapted) * self.mask(field, z) - theta0

    def counted(self, field, params, code):
        """See `Form.counted`: the parameters of the final network, as the baselines count them."""
        return field.flat(params) + code


@dataclasses.dataclass(frozen=True)
class UnstructuredGates(ParameterGates):
    """One gate per parameter."""

    def mask(self, field, z):
        """See `ParameterGates.mask`."""
        del field
        return z


@dataclasses.dataclass(frozen=True)
class StructuredGates(ParameterGates):
    """One gate per column of a hidden kernel: all weights that enter one unit, which is constant if it is closed."""

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
    """One gate per set of `units` neighbouring units, shared by all weights from these to the next hidden layer.

    Attributes:
      units: number of units per set; a width that it does not divide is a ValueError.
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
    """One gate per activation of a hidden unit, the same at all points: (z h) W = h (z W), a row of the next kernel."""

    def gate_shape(self, field):
        """Shape [L, w]; see `Form.gate_shape`."""
        return field.siren.code_shape

    def mask(self, field, z):
        """See `ParameterGates.mask`."""
        kernels = [part for part in field.parts if part.kind == "kernel" and part.layer > 0]
        return _mask(field, {part: jnp.broadcast_to(z[part.layer - 1][:, None], part.shape) for part in kernels})


def _hidden_kernels(field: DeltaSiren) -> list[Part]:
    """The kernels between two hidden layers, which all have the same shape."""
    return [part for part in field.parts if part.kind == "kernel" and 0 < part.layer < field.siren.depth - 1]


def _mask(field: DeltaSiren, gated: dict[Part, Float[Array, "..."]]) -> Float[Array, " P"]:
    """The masks of all arrays as one vector; 1 for the entries of arrays without a mask."""
    return jnp.concatenate([gated[part].ravel() if part in gated else jnp.ones(part.size) for part in field.parts])
