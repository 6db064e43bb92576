"""A field whose code is an update of all parameters: values = f(theta0 + delta), eq. 2 without any restriction."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key, PyTree

from mscn_flax.siren import Siren


class Part(NamedTuple):
    """One array of the network, and its place within the flat vector of all parameters.

    Attributes:
      layer: index of the layer, from 0; the linear output is the last.
      kind: "kernel" or "bias".
      start: position of the array's first entry in the vector; its entries follow in row-major order.
      shape: shape of the array.
    """

    layer: int
    kind: str
    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def entries(self) -> slice:
        """Positions of the array's entries in the vector."""
        return slice(self.start, self.start + self.size)


@dataclasses.dataclass(frozen=True)
class DeltaSiren:
    """A SIREN that is adapted as a whole; its code delta is the flat vector of updates of its P parameters.

    It has the interface of the Linen fields in `siren.py`: `code_shape`, `init`, `apply`.

    Attributes:
      siren: the network.
      in_dim: d, number of coordinates per point.

    Raises:
      ValueError: for a network with a part that modulations alone make use of.
    """

    siren: Siren
    in_dim: int = 2

    def __post_init__(self):
        if self.siren.coordinate_free_shift:
            raise ValueError("Siren.coordinate_free_shift is for modulations; this network is adapted as a whole")

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The network's arrays, in the order of the flat vector."""
        parts, start = [], 0
        for path, leaf in jax.tree.leaves_with_path(_zeros(self.siren, self.in_dim)):
            name, kind = (key.key for key in path)
            layer = self.siren.depth - 1 if name == "output" else int(name.removeprefix("layer_"))
            parts.append(Part(layer, kind, start, leaf.shape))
            start += leaf.size
        return tuple(parts)

    @property
    def code_shape(self) -> tuple[int]:
        """Shape [P] of delta."""
        return (self.parts[-1].entries.stop,)

    @functools.cached_property
    def is_weight(self) -> Bool[np.ndarray, " P"]:
        """Which parameters are entries of a kernel; the others are entries of a bias."""
        found = np.zeros(self.code_shape, bool)
        for part in self.parts:
            found[part.entries] = part.kind == "kernel"
        return found

    def init(self, key: Key[Array, ""], coords: Float[Array, "N d"], delta: Float[Array, " P"] | None = None) -> PyTree:
        """The network's variables; `delta` is unused, and there because other fields take a code."""
        del delta
        return self.siren.init(key, coords)

    def flat(self, params: PyTree) -> Float[Array, " P"]:
        """The network's parameters as one vector."""
        return ravel_pytree(params)[0]

    def tree(self, flat: Float[Array, " P"]) -> PyTree:
        """The inverse of `flat`."""
        return ravel_pytree(jax.tree.map(jnp.asarray, _zeros(self.siren, self.in_dim)))[1](flat)

    def apply(self, variables: PyTree, coords: Float[Array, "N d"], delta: Float[Array, " P"]) -> Float[Array, "N c"]:
        """Values at `coords` of the network with parameters theta0 + delta."""
        return self.siren.apply({"params": self.tree(self.flat(variables["params"]) + delta)}, coords)


@functools.cache  # Grids have thousands of learners of one network.
def _zeros(siren: Siren, in_dim: int) -> PyTree:
    """Zeros of the shapes of a network's parameters."""
    coords = jax.ShapeDtypeStruct((1, in_dim), jnp.float32)
    # Zeros of NumPy: these are cached, so they must not belong to what is being traced at the first call.
    shapes = jax.eval_shape(siren.init, jax.random.key(0), coords)["params"]
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
