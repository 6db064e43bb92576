"""Learned curvature of the inner loop: a matrix beside the learning rates, which the encoder alone needs.

With gates z and the gradient g of the inner loss with respect to the gated code m, an inner step is

    m <- m - lr z g - z B(z g)

where lr are MetaSGD's learning rates (Li et al. 2017), a diagonal matrix, and the matrix B is learned with them by the
outer loop. B starts at zero, where the step is MetaSGD's. Kronecker factors of B are Meta-Curvature (Park and Oliva
2019); all forms here are preconditioners that do not depend on the signal, a special case of those of WarpGrad
(Flennerhag et al. 2020), which the paper cites.
"""

import dataclasses
import math

import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from mscn_flax.delta import DeltaSiren

_MAX_ENTRIES = 1 << 28
"""Largest number of entries of B: 1 GiB, and the outer optimiser keeps two more arrays of its size."""


@dataclasses.dataclass(frozen=True)
class Curvature:
    """The interface of all forms of B.

    Attributes:
      scale: constant factor of B, which lets B have the learning rate of the field's parameters.
    """

    scale: float = 0.1

    def init(self, key: Key[Array, ""], field) -> PyTree[Float[Array, "..."]]:
        """What the outer loop learns of B, at its start, for the codes of a field."""
        raise NotImplementedError

    def correction(
        self, field, factors: PyTree, gradient: Float[Array, "*code"], step: Float[Array, "*code"]
    ) -> Float[Array, "*code"]:
        """B(z g), what an inner step subtracts besides that of MetaSGD before it is gated; linear in the gradient.

        Args:
          field: whose codes are adapted.
          factors: what `init` returns, as the outer loop has learned it.
          gradient: z g.
          step: lr z g.
        """
        raise NotImplementedError


@gin.configurable
@dataclasses.dataclass(frozen=True)
class LayerCurvature(Curvature):
    """One full matrix per row of the code: per layer of modulations [L, w], or one for a latent vector.

    Raises:
      ValueError: if `init` would make matrices of more than 2^28 entries.
    """

    def _rows(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return math.prod(shape[:-1]), shape[-1]

    def init(self, key, field):
        """See `Curvature.init`; shape [rows, w, w]."""
        del key
        rows, width = self._rows(field.code_shape)
        if (entries := rows * width**2) > _MAX_ENTRIES:
            raise ValueError(
                f"{type(self).__name__} of a code of shape {field.code_shape} has {entries:,} entries, more than "
                f"{_MAX_ENTRIES:,}; use LowRankCurvature or KroneckerCurvature"
            )
        return jnp.zeros((rows, width, width))

    def correction(self, field, factors, gradient, step):
        """See `Curvature.correction`."""
        del field, step
        rows = gradient.reshape(self._rows(gradient.shape))
        return self.scale * jnp.einsum("rij,rj->ri", factors, rows).reshape(gradient.shape)


@gin.configurable
@dataclasses.dataclass(frozen=True)
class FullCurvature(LayerCurvature):
    """One full matrix over all entries of the code."""

    def _rows(self, shape):
        return 1, math.prod(shape)


@gin.configurable
@dataclasses.dataclass(frozen=True)
class LowRankCurvature(Curvature):
    """A matrix U V^T over all entries of the code; U starts at zero, V at random, so that U has a gradient.

    Attributes:
      rank: r, number of columns of U and V.

    Raises:
      ValueError: for a rank below 1.
    """

    rank: int = 8

    def __post_init__(self):
        if not (isinstance(self.rank, int) and self.rank >= 1):
            raise ValueError(f"LowRankCurvature.rank must be at least 1 and whole, got {self.rank!r}")

    def init(self, key, field):
        """See `Curvature.init`; both of shape [P, r]."""
        shape = (math.prod(field.code_shape), self.rank)
        # The r terms of an entry of U V^T add up to what one entry of a full matrix would be.
        return {"left": jnp.zeros(shape), "right": jax.random.normal(key, shape) * self.rank**-0.5}

    def correction(self, field, factors, gradient, step):
        """See `Curvature.correction`."""
        del field, step
        projected = factors["right"].T @ gradient.ravel()
        return self.scale * (factors["left"] @ projected).reshape(gradient.shape)


@gin.configurable
@dataclasses.dataclass(frozen=True)
class KroneckerCurvature(Curvature):
    """MetaSGD's step as a matrix G, multiplied from both sides: G -> A G C, where A - I and C - I start at zero.

    The matrices of a `DeltaSiren` are its kernels, and its biases as rows; any other code is one matrix (a latent
    vector a row). The gates of eq. 9 act on the gradient before the multiplication and on A G C - G behind it: a closed
    parameter neither moves nor moves others, so that the budget is as exact as without A and C.
    """

    def init(self, key, field):
        """See `Curvature.init`; (A - I) / scale and (C - I) / scale of every matrix."""
        del key
        shapes = {name: shape for name, _, shape in _matrices(field)}
        return {name: {"left": jnp.zeros((r, r)), "right": jnp.zeros((c, c))} for name, (r, c) in shapes.items()}

    def correction(self, field, factors, gradient, step):
        """See `Curvature.correction`."""
        del gradient
        flat, corrections = step.ravel(), []
        for name, entries, shape in _matrices(field):
            left, right = self.scale * factors[name]["left"], self.scale * factors[name]["right"]
            matrix = flat[entries].reshape(shape)
            from_right = matrix @ right
            corrections.append((left @ (matrix + from_right) + from_right).ravel())
        return jnp.concatenate(corrections).reshape(step.shape)


def _matrices(field) -> list[tuple[str, slice, tuple[int, int]]]:
    """Name, entries within the flat code, and shape of every matrix of a field's code, in order."""
    if isinstance(field, DeltaSiren):
        return [
            (f"layer_{part.layer:02d}_{part.kind}", part.entries, (part.size // part.shape[-1], part.shape[-1]))
            for part in field.parts
        ]
    *rows, columns = field.code_shape
    return [("code", slice(0, math.prod(field.code_shape)), (math.prod(rows), columns))]
