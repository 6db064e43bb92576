"""Working on the points of a signal one tile at a time: memory and the working set of a cache are those of one tile.

A loss that is a mean over points is the mean of the losses of its tiles, and so are its derivatives of any order.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


def divisor(limit: int, count: int) -> int:
    """The largest divisor of `count` that is at most `limit`; both are at least 1.

    >>> divisor(5, 12), divisor(16, 12), divisor(6, 7)
    (4, 12, 1)
    """
    return max(n for n in range(1, min(limit, count) + 1) if count % n == 0)


def tile_size(limit: int | None, count: int) -> int:
    """Number of points per tile: the largest number within the limit that divides `count` points evenly.

    It is all points if there is no limit, or if even tiles would be below an eighth of it: small tiles are slow.

    >>> tile_size(300, 178 * 178), tile_size(256, 1009), tile_size(None, 100)
    (178, 1009, 100)
    """
    if limit is None or limit >= count or 8 * (size := divisor(limit, count)) < limit:
        return count
    return size


def mean_over(
    fn: Callable[[PyTree], PyTree[Float[Array, "..."]]], points: PyTree[Float[Array, "N ..."]], limit: int | None
) -> PyTree[Float[Array, "..."]]:
    """Mean of `fn(tile)` over the tiles of `points`, one after the other; `limit` as in `tile_size`.

    >>> float(mean_over(jnp.mean, jnp.arange(12.0), limit=4))
    5.5
    """
    if limit is None:  # There may be no points then.
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
    """Mean of `loss_fn(variables, tile)` over the tiles; differentiable once, with respect to `variables`.

    The gradient is added up together with the loss, so that nothing is kept or computed twice.
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
