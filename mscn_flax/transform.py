"""A change of basis of codes before they are quantised: coefficients that do not repeat each other, and count alike.

The modulations of a network are no orthogonal coordinates: several move the same pixels, and an error of one is seen
more than that of another. In the basis that is fitted here an error of 1 in any one coefficient changes the values of
a signal by 1 on average (root mean square, to first order), and the coefficients of training signals are uncorrelated,
the largest first: what the discrete cosine transform is to the pixels of a JPEG. With one step for all of them the
error is the least for its rate, as far as rates are high (Gersho and Gray 1992, chapter 8).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mscn_flax.coder import Coder
from mscn_flax.linear import LinearField
from mscn_flax.rendering import points_per_coordinate

_CODES = 64
"""Codes at which a network's derivative is taken."""

_POINTS = 1024
"""Points of a signal at which it is taken, where there are more drawn once for all: evenly distant ones of a grid that
is read row by row lie in one column, or in one face of a solid."""

_ROWS = 256
"""Codes that are taken back at a time, which a processor's cache holds."""

_FLAT = 1e-4
"""Share of the mean squared effect of an entry that every direction is assumed to have."""


@dataclasses.dataclass(frozen=True, eq=False)
class Transform:
    """values = mean + coefficients . basis.

    Attributes:
      mean: of the entries of training codes.
      basis: one row per coefficient, float16, to which it is rounded before anything is quantised.
    """

    mean: Float[np.ndarray, " n"]
    basis: Float[np.ndarray, "n n"]

    @classmethod
    def of(cls, coder: Coder, codes: Float[np.ndarray, "S *code"]) -> "Transform":
        """The basis for the stored entries of codes of training signals."""
        codes = codes.reshape(len(codes), -1)
        return cls.fit(codes[:, coder.stored], gram(coder, codes))

    @classmethod
    def fit(cls, values: Float[np.ndarray, "S n"], gram: Float[np.ndarray, "n n"]) -> "Transform":
        """The basis for codes of training signals, whose errors e cost e . gram . e."""
        count = len(gram)
        gram = gram + _FLAT * np.trace(gram) / count * np.eye(count)
        lengths, axes = np.linalg.eigh(gram)
        # Coordinates in which an error costs its square, whatever its direction.
        even, back = axes * np.sqrt(lengths), (axes / np.sqrt(lengths)).T
        mean = values.mean(axis=0, dtype=np.float64)
        _, turn = np.linalg.eigh(np.cov((values - mean) @ even, rowvar=False).reshape(count, count))
        return cls(np.float32(mean), np.float16(turn[:, ::-1].T @ back))

    def forward(self, values: Float[np.ndarray, "P n"]) -> Float[np.ndarray, "P n"]:
        """The coefficients of codes."""
        return np.float32((values - np.float64(self.mean)) @ self._inverse)

    @functools.cached_property
    def _inverse(self) -> Float[np.ndarray, "n n"]:
        return np.linalg.inv(np.float64(self.basis))

    def backward(self, coefficients: Float[np.ndarray, "P n"]) -> Float[np.ndarray, "P n"]:
        """The codes of coefficients; the same on all machines, as sums are in the order of the coefficients."""
        values, basis = np.tile(self.mean, (len(coefficients), 1)), np.float32(self.basis)
        for start in range(0, len(values), _ROWS):
            block = values[start : start + _ROWS]
            for column, row in zip(coefficients[start : start + _ROWS].T, basis, strict=True):
                block += column[:, None] * row
        return values


def gram(coder: Coder, codes: Float[np.ndarray, "S P"]) -> Float[np.ndarray, "n n"]:
    """What errors of the stored entries cost: the mean of J . J^T per value, J the derivative of a signal's values.

    Args:
      coder: renders codes.
      codes: of training signals, of which some are taken.
    """
    field, stored = coder.learner.field, np.flatnonzero(coder.stored)
    coords = coder.modality.rendered_at(None, field, coder.side)[0]
    coords = coords.reshape(-1, coords.shape[-1])
    if not isinstance(field, LinearField):
        count = min(len(coords), max(1, _POINTS // points_per_coordinate(field)))
        coords = coords[np.sort(np.random.default_rng(0).choice(len(coords), count, replace=False))]

    theta, coords = jax.tree.map(jnp.asarray, (coder.theta, coords))

    def render(entries):
        code = jnp.zeros(coder.size).at[stored].set(entries).reshape(field.code_shape)
        return coder.learner.render(theta, code, coords).ravel()

    @jax.jit
    def of_code(entries):
        along = jax.lax.map(lambda axis: jax.jvp(render, (entries,), (axis,))[1], jnp.eye(len(stored)), batch_size=16)
        return along @ along.T / along.shape[1]

    chosen = codes[np.linspace(0, len(codes) - 1, min(_CODES, len(codes))).astype(int)][:, stored]
    return np.mean([np.asarray(of_code(entries), np.float64) for entries in chosen], axis=0)
