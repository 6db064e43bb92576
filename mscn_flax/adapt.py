"""The inner loop for ONE signal (eq. 2): a few gradient steps on its code, nothing else."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PyTree


def adapt(
    loss_fn: Callable[..., Float[Array, ""]],
    start: PyTree[Float[Array, "..."]],
    inner_lr: PyTree[Float[Array, "..."]],
    *,
    steps: int,
    first_order: bool = False,
    remat: bool = True,
    fresh: PyTree[Float[Array, "steps ..."]] | None = None,
) -> tuple[PyTree[Float[Array, "..."]], Float[Array, " steps"]]:
    """`steps` steps of MetaSGD (one learning rate an entry; equal rates are plain SGD) from `start`.

    Plain gradient descent on purpose: the gradient *through* Adam or a norm clip is NaN where the inner gradient is
    exactly zero, which closed gates make normal.

    Args:
      loss_fn: the signal's loss as a function of what is adapted, and of a step's share of `fresh` where there is one.
      start: where the steps begin.
      inner_lr: learning rates, the structure and shapes of `start`.
      steps: K, number of gradient steps, >= 0.
      first_order: treat the inner gradients as constants in the outer gradient (first-order MAML).
      remat: keep nothing of a step for the outer gradient but its start, and compute it again: memory constant in
        `steps`, at the price of a forward and a backward pass a step.
      fresh: what the loss of each step sees besides, e.g. points of its own; None for nothing.

    Returns:
      What was adapted, and the loss before each step.
    """

    def step(current, seen):
        loss, gradient = jax.value_and_grad(loss_fn)(current, *(() if fresh is None else (seen,)))
        if first_order:
            gradient = jax.lax.stop_gradient(gradient)
        return jax.tree.map(lambda value, lr, g: value - lr * g, current, inner_lr, gradient), loss

    if not remat:
        # Unrolled: a plain scan would store every intermediate value of every step in one buffer each.
        return jax.lax.scan(step, start, fresh, length=steps, unroll=max(steps, 1))
    # Inside a scan nothing can be merged across the checkpoint, so the costly guard against it is not needed.
    return jax.lax.scan(jax.checkpoint(step, prevent_cse=False), start, fresh, length=steps)
