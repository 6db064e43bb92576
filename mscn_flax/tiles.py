"""Points of a signal a tile at a time: memory, and what a cache has to hold, are those of a tile.

A loss that is a mean over points is the mean of its tiles' losses, and so are its derivatives of any order.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


def divisor(limit: int, count: int) -> int:
    """The largest divisor of `count` within `limit`; both at least 1."""
    return max(n for n in range(1, min(limit, count) + 1) if count % n == 0)


def tile_size(limit: int | None, count: int) -> int:
    """Points of a tile: as many as divide `count` evenly within the limit.

    All of them where there is no limit, or where even tiles would be smaller than an eighth of it: such small ones
    are slow.
    """
    if limit is None or limit >= count or 8 * (size := divisor(limit, count)) < limit:
        return count
    return size


def mean_over(
    fn: Callable[[PyTree], PyTree[Float[Array, "..."]]], points: PyTree[Float[Array, "N ..."]], limit: int | None
) -> PyTree[Float[Array, "..."]]:
    """Mean of `fn(tile)` over the tiles of `points`, one after the other; `limit` as in `tile_size`."""
    if limit is None:  # Also where there are no points.
        return fn(points)
    count = jax.tree.leaves(points)[0].shape[0]
    size = tile_size(limit, count)
    if size == count:
        return fn(points)
    tiles = jax.tree.map(lambda a: a.reshape(count // size, size, *a.shape[1:]), points)
    nothing = jax.tree.map(
        lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(fn, jax.tree.map(lambda a: a[0], tiles))
    )
    total, _ = jax.lax.scan(lambda total, tile: (jax.tree.map(jnp.add, total, fn(tile)), None), nothing, tiles)
    return jax.tree.map(lambda a: a * (size / count), total)


def mean_loss(
    loss_fn: Callable[[PyTree, PyTree], Float[Array, ""]],
    variables: PyTree[Float[Array, "..."]],
    points: PyTree[Float[Array, "N ..."]],
    limit: int | None,
) -> Float[Array, ""]:
    """Mean of `loss_fn(variables, tile)` over the tiles; can be differentiated once, with respect to `variables`.

    The gradient is added up with the loss, so that nothing is kept or computed twice.
    """
    if limit is None:
        return loss_fn(variables, points)

    @jax.custom_vjp
    def loss(variables, points):
        return mean_over(lambda tile: loss_fn(variables, tile), points, limit)

    def forward(variables, points):
        return mean_over(lambda tile: jax.value_and_grad(loss_fn)(variables, tile), points, limit)

    def backward(gradient, cotangent):
        return jax.tree.map(lambda g: cotangent * g, gradient), None

    loss.defvjp(forward, backward)
    return loss(variables, points)
