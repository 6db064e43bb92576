"""The linear code of a set of signals, their mean and principal components: a floor for networks of as many numbers.

It takes part as a field and a learner do, so that training signals, quantiser, streams and rows are those of networks.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from mscn_flax.learner import MetaLearner


class LinearField(nn.Module):
    """values = mean + code . components at all points of a grid at once: a field without a network.

    Attributes:
      latent_dim: n, number of components.
      points: N, number of points of the grid.
      out_dim: c, number of values per point.
    """

    latent_dim: int
    points: int
    out_dim: int

    @property
    def code_shape(self) -> tuple[int]:
        """Shape [n] of the coefficients."""
        return (self.latent_dim,)

    @staticmethod
    def params(mean: Float[np.ndarray, " D"], components: Float[np.ndarray, "n D"]) -> PyTree:
        """The field's parameters, D = N c."""
        return {"components": {"kernel": components, "bias": mean}}

    @nn.compact
    def __call__(self, coords: Float[Array, "N d"], code: Float[Array, " n"]) -> Float[Array, "N c"]:
        """Values at all points of the grid, in their order; a code of zeros gives the mean.

        Raises:
          ValueError: for another number of coordinates than the grid has.
        """
        if len(coords) != self.points:
            raise ValueError(f"a linear field has values at its {self.points} points alone, got {len(coords)}")
        return nn.Dense(self.points * self.out_dim, name="components")(code).reshape(self.points, self.out_dim)


@dataclasses.dataclass(frozen=True)
class LinearLearner(MetaLearner):
    """Projects a signal onto the orthonormal components of a `LinearField`: of all codes the one with the least error.

    On such components the projection is what a single gradient step of the right length ends at.
    """

    inner_steps: int = 1
    meta_sgd: bool = False

    def fit(self, theta, gates, key, coords, targets, *, steps=None):
        """See `MetaLearner.fit`; `targets` [N, c] are all points of the signal."""
        del gates, key, coords, steps
        components = theta["field"]["components"]
        return components["kernel"] @ (targets.ravel() - components["bias"]), jnp.zeros(()), jnp.zeros(0)


def most_components(signals: int, numbers: int) -> int:
    """The largest number of principal components of so many signals of so many numbers each."""
    return min(signals - 1, numbers)


def principal_components(
    signals: Float[np.ndarray, "S D"], count: int
) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, "n D"]]:
    """The mean of signals and their first principal components, orthonormal, the largest first; float32.

    They are eigenvectors of the covariance matrix [D, D], or follow from those of the Gram matrix [S, S] where that is
    smaller: those are zero that signals which are alike do not have.

    Raises:
      ValueError: for more components than the signals have.
    """
    import scipy.linalg  # Takes a quarter of a second.

    most = most_components(*signals.shape)
    if not 1 <= count <= most:
        raise ValueError(f"{len(signals)} signals have 1 to {most} principal components, not {count}")
    mean = signals.mean(axis=0, dtype=np.float64)
    centred = signals - mean
    by_signals = len(signals) < len(mean)
    products = centred @ centred.T if by_signals else centred.T @ centred
    _, vectors = scipy.linalg.eigh(products, subset_by_index=[len(products) - count, len(products) - 1])
    components = vectors[:, ::-1].T
    if by_signals:
        components = components @ centred
        # Signals that are alike leave components of no length but for rounding, which are none.
        lengths = np.linalg.norm(components, axis=1, keepdims=True)
        there = lengths > 1e-6 * lengths.max()
        components = np.where(there, components / np.where(there, lengths, 1), 0)
    return np.float32(mean), np.float32(components)
