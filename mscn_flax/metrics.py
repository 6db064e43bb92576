"""Every quality and cost figure of the project, defined once."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def mse(values: Float[Array, "*B N c"], targets: Float[Array, "*B N c"]) -> Float[Array, "*B"]:
    """Mean squared error over points and channels (the mean, where eq. 1 writes the sum)."""
    return jnp.mean(jnp.square(values - targets), axis=(-2, -1))


def psnr(mean_squared_error: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Peak signal-to-noise ratio in dB of data in [0, 1]: -10 log10(MSE). The paper's formula lacks the 10."""
    return -10 * jnp.log10(mean_squared_error)


def to_8_bit(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Values as an 8-bit file would hold them: clipped to [0, 1] and rounded to a multiple of 1/255."""
    return jnp.round(jnp.clip(values, 0, 1) * 255) / 255


def voxel_accuracy(values: Float[np.ndarray, "N 1"], targets: Float[np.ndarray, "N 1"]) -> float:
    """Share of voxels on the right side of 0.5."""
    return float(np.mean((values > 0.5) == (targets > 0.5)))


def siren_flops(points: int, in_dim: int, width: int, depth: int, out_dim: int) -> int:
    """FLOPs of a SIREN's matrix products on `points` points, forward; sines, sums and modulations are not counted."""
    return 2 * points * (in_dim * width + (depth - 2) * width * width + width * out_dim)


def meta_step_flops(
    forward: int, inner_steps: int, *, first_order: bool = False, truncate: int | None = None, products: int = 2
) -> int:
    """FLOPs of the meta-gradient of one signal, in the fewest matrix products; `forward` is that of one evaluation.

    An inner step is a forward pass and a backward pass to the code: `products` is 2 for each of the forward pass, or 3
    where the code is the weights. Each of these has two transposes in the outer gradient, where that flows through the
    step (`truncate` as in `MetaLearner`). The outer loss costs a forward pass and its two transposes. What
    checkpointing computes twice is not counted: it is the price of memory, not work done.
    """
    through = 0 if first_order else min(truncate or inner_steps, inner_steps)
    return forward * (inner_steps * products + through * 2 * products + 3)
