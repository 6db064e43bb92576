"""The inner loop for ONE signal (eq. 2): a few gradient steps on its code, nothing else."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from mscn_flax.tiles import mean_over


def meta_sgd(
    inner_lr: PyTree[Float[Array, "..."]], curvature: None, gradient: PyTree[Float[Array, "..."]]
) -> PyTree[Float[Array, "..."]]:
    """The step of MetaSGD, lr * gradient."""
    del curvature
    return jax.tree.map(jnp.multiply, inner_lr, gradient)


def adapt(
    loss_fn: Callable[..., Float[Array, ""]],
    start: PyTree[Float[Array, "..."]],
    inner_lr: PyTree[Float[Array, "..."]],
    shared: PyTree = None,
    constant: PyTree = None,
    points: PyTree[Float[Array, "..."]] = None,
    *,
    steps: int,
    precondition: Callable[..., PyTree[Float[Array, "..."]]] = meta_sgd,
    curvature: PyTree[Float[Array, "..."]] = None,
    first_order: bool = False,
    remat: bool = True,
    linearise: bool = False,
    fresh: bool = False,
    lr_per_step: bool = False,
    tile: int | None = None,
) -> tuple[PyTree[Float[Array, "..."]], Float[Array, " steps"]]:
    """Takes `steps` steps x <- x - P(grad L(x)) from `start`, by default of MetaSGD: one learning rate per entry of x.

    Plain gradient descent on purpose: the gradient *through* Adam or a norm clip is NaN where the inner gradient is
    exactly zero, which is normal with closed gates. Equal learning rates make it plain SGD.

    >>> adapted, losses = adapt(lambda x, *_: jnp.sum(x**2), jnp.array([1.0, 2.0]), jnp.array([0.5, 0.0]), steps=1)
    >>> adapted.tolist(), losses.tolist()
    ([0.0, 2.0], [5.0])

    Args:
      loss_fn: the signal's loss, a function of x, `shared`, `constant` and points; all arrays that it uses must come in
        through these. With tiles it must be a mean over points.
      start: where the steps begin.
      inner_lr: learning rates, with the structure and shapes of `start`.
      shared: what else the outer gradient flows into, besides `start` and `inner_lr`.
      constant: what the outer gradient does not flow into.
      points: what the loss is evaluated at, constant too: arrays [N, ...], or [steps, N, ...] if `fresh`; None if the
        loss needs none.
      steps: K, number of gradient steps, >= 0.
      precondition: P, a function of `inner_lr`, `curvature` and gradient that is linear in the gradient.
      curvature: what else P depends on; the outer gradient flows into it too.
      first_order: treat the inner gradients as constants in the outer gradient (first-order MAML).
      remat: of each step keep nothing but its start for the outer gradient, so that memory hardly grows with `steps`;
        otherwise keep all of its activations.
      linearise: of each step keep the linearisation of its gradient as well, some five arrays per layer of a network,
        so that the outer gradient computes nothing twice. Of second order with `remat` alone, and not in tiles.
      fresh: whether each step has points of its own.
      lr_per_step: whether each step has learning rates of its own, which `inner_lr` then has along a leading axis.
      tile: number of points that are worked on at a time, see `tiles.tile_size`; it changes nothing but rounding.

    Returns:
      The adapted x, and the loss before each step, which carries no gradient.
    """

    def plain_step(current, inner_lr, curvature, shared, constant, seen):
        loss, gradient = mean_over(
            lambda points: jax.value_and_grad(loss_fn)(current, shared, constant, points), seen, tile
        )
        if first_order:
            gradient = jax.lax.stop_gradient(gradient)
        return jax.tree.map(jnp.subtract, current, precondition(inner_lr, curvature, gradient)), loss

    step = plain_step
    if remat:
        step = (
            jax.checkpoint(plain_step, prevent_cse=False)
            if first_order
            else _second_order(loss_fn, plain_step, precondition, tile, linearise)
        )

    def body(current, own):
        seen, lr = own
        current, loss = step(
            current,
            lr if lr_per_step else inner_lr,
            curvature,
            shared,
            constant,
            seen if fresh else points,
        )
        return current, jax.lax.stop_gradient(loss)

    own = (points if fresh else None, inner_lr if lr_per_step else None)
    # Unrolled where much is kept: a plain scan would copy every kept value of all steps to a buffer of its own.
    rolled = remat and not linearise
    return jax.lax.scan(body, start, own, length=steps, unroll=1 if rolled else max(steps, 1))


def _second_order(
    loss_fn: Callable, plain_step: Callable, precondition: Callable, tile: int | None, linearise: bool
) -> Callable:
    """`plain_step` with its outer gradient computed by forward over reverse mode.

    With x' = x - P grad_x L(x, s), the gradient v with respect to x' becomes (v, 0) with respect to (x, s), minus the
    gradient of <grad_x L, P^T v>. That is the derivative of grad_(x, s) L in the direction (P^T v, 0): one pass forward
    and back, with the derivative carried along with each value. Reverse over reverse mode on checkpointed steps needs
    as many matrix products and has more arrays to write and read. With `linearise` the pass is the linear half alone:
    the other half has been computed, and kept, by the step itself.
    """

    def step(current, inner_lr, curvature, shared, constant, seen):
        # As leaves: what carries no gradient is handed back as None, which not every pytree class can hold.
        leaves, structure = jax.tree.flatten((constant, seen))

        def gradient(current, shared, leaves, points):
            """The gradient of L with respect to (x, s), and L."""
            constant, _ = structure.unflatten(leaves)
            loss, of_both = jax.value_and_grad(loss_fn, argnums=(0, 1))(current, shared, constant, points)
            return of_both, loss

        @jax.custom_vjp
        def custom(current, inner_lr, curvature, shared, leaves):
            return plain_step(current, inner_lr, curvature, shared, *structure.unflatten(leaves))

        def forward(*arguments):
            current, inner_lr, curvature, shared, leaves = arguments
            if not linearise:
                return custom(*arguments), (arguments, None)
            _, seen = structure.unflatten(leaves)
            # What is not used of it, such as the gradient with respect to s, XLA leaves out.
            (g, _), derivative, loss = jax.linearize(
                lambda current: gradient(current, shared, leaves, seen), current, has_aux=True
            )
            moved = jax.tree.map(jnp.subtract, current, precondition(inner_lr, curvature, g))
            return (moved, loss), (arguments, (g, derivative))

        def backward(kept, cotangents):
            ((current, inner_lr, curvature, shared, leaves), linear), (v, _) = kept, cotangents
            (direction,) = jax.linear_transpose(functools.partial(precondition, inner_lr, curvature), current)(v)

            def derivatives(points):
                (g, _), of_both, _ = jax.jvp(
                    lambda current: gradient(current, shared, leaves, points), (current,), (direction,), has_aux=True
                )
                return g, *of_both

            if linear is None:
                _, seen = structure.unflatten(leaves)
                g, of_current, of_shared = mean_over(derivatives, seen, tile)
            else:
                g, derivative = linear
                of_current, of_shared = derivative(direction)
            _, of_rates = jax.vjp(lambda *rates: precondition(*rates, g), inner_lr, curvature)
            return (
                jax.tree.map(jnp.subtract, v, of_current),
                *of_rates(jax.tree.map(jnp.negative, v)),
                jax.tree.map(jnp.negative, of_shared),
                None,
            )

        custom.defvjp(forward, backward)
        return custom(current, inner_lr, curvature, shared, leaves)

    return step
