"""Measures of quality and of cost; those of one kind of signal alone are in `modalities`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float, PyTree

from mscn_flax.delta import DeltaSiren
from mscn_flax.rendering import points_per_coordinate
from mscn_flax.siren import Siren, base_siren


def mse(values: Float[Array, "*B N c"], targets: Float[Array, "*B N c"]) -> Float[Array, "*B"]:
    """Mean squared error over points and channels (eq. 1 has the sum in place of the mean).

    Raises:
      ValueError: where one has other points or channels than the other, which would be broadcast.
    """
    if values.shape[-2:] != targets.shape[-2:]:
        (points, channels), (others, given) = values.shape[-2:], targets.shape[-2:]
        has = f"the field gives {points} points of {channels} values (Siren.out_dim)"
        raise ValueError(f"{has}, the signals have {others} of {given}")
    return jnp.mean(jnp.square(values - targets), axis=(-2, -1))


def psnr(mean_squared_error: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Peak signal-to-noise ratio, in dB, of data in [0, 1]: -10 log10(MSE). The paper's formula lacks the 10.

    >>> psnr(jnp.array([0.1, 0.01])).tolist()
    [10.0, 20.0]
    """
    return -10 * jnp.log10(mean_squared_error)


def to_8_bit(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Values as an 8-bit file would hold them: clipped to [0, 1] and rounded to a multiple of 1/255.

    >>> jnp.rint(255 * to_8_bit(jnp.array([-0.2, 0.4999, 1.3]))).astype(jnp.int32).tolist()
    [0, 127, 255]
    """
    return jnp.round(jnp.clip(values, 0, 1) * 255) / 255


def siren_flops(points: int, in_dim: int, width: int, depth: int, out_dim: int) -> int:
    """FLOPs of the matrix products of a SIREN's forward pass at `points` points, without sines, sums and modulations.

    >>> siren_flops(points=1024, in_dim=2, width=64, depth=6, out_dim=3)
    34209792
    """
    return 2 * points * (in_dim * width + (depth - 2) * width * width + width * out_dim)


def shared_parameters(params: PyTree) -> int:
    """Numbers that encoder and decoder share: all parameters of a field, arrays or their shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def decode_flops(field: nn.Module | DeltaSiren, params: PyTree, in_dim: int, points: int) -> int:
    """FLOPs of the values of one code: 2 per multiplication and addition, 1 per sine, whatever is zero.

    The network is evaluated at every point, what maps the code to its modulations once. Biases and modulations are what
    the sums start with.

    Args:
      field: of the code.
      params: its parameters, arrays or their shapes.
      in_dim: inputs of the network.
      points: number of coordinates, each of which may stand for several points (`points_per_coordinate`).
    """
    once = 2 * sum(leaf.size for path, leaf in flatten_dict(params).items() if path[-1] == "kernel")
    siren = base_siren(field)
    if not isinstance(siren, Siren):
        return once
    products = siren_flops(1, in_dim, siren.width, siren.depth, siren.out_dim)
    sines = (siren.depth - 1) * siren.width
    if siren.coordinate_free_shift:
        products += 2 * siren.coordinate_free * (siren.width - siren.coordinate_free)
        sines += siren.coordinate_free
    return points * points_per_coordinate(field) * (products + sines) + once - products


def meta_step_flops(
    forward: int, inner_steps: int, *, first_order: bool = False, truncate: int | None = None, products: int = 2
) -> int:
    """FLOPs of the meta-gradient of one signal, done with the fewest matrix products.

    An inner step is a forward pass and a backward pass to the code. Each matrix product in it has two transposes in the
    outer gradient, if that flows through the step. The outer loss costs a forward pass and its two transposes. What
    checkpointing computes twice is not counted: it is the price of memory, not work done.

    Args:
      forward: FLOPs of one forward pass, see `siren_flops`.
      inner_steps: K.
      first_order: as in `MetaLearner`.
      truncate: as in `MetaLearner`.
      products: matrix products in an inner step per product of the forward pass: 2, or 3 if the code is the weights.
    """
    through = 0 if first_order else min(truncate or inner_steps, inner_steps)
    return forward * (inner_steps * products + through * 2 * products + 3)
