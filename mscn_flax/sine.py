"""The activation: a range-reduced polynomial sine that vectorises, and its derivatives.

On a CPU, XLA's own float32 sine costs more than a matrix product of width 64. This one subtracts the nearest multiple
of 2 pi and evaluates an odd polynomial that is exactly zero at +-pi, at about the cost of a copy. Its derivative is the
cosine by the same polynomial, so that it can be differentiated as often as MAML needs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# 2 pi in two parts. The first has 8 significant bits, so k * _TWO_PI_HIGH is exact for |k| < 2^16.
_TWO_PI_HIGH = np.float32(6.28125)
_TWO_PI_LOW = np.float32(2 * np.pi - 6.28125)
_INVERSE_TWO_PI = np.float32(0.5 / np.pi)
_INVERSE_PI_SQUARED = np.float32(1 / np.pi**2)
# sin(r) ~ r (1 - r^2 / pi^2) P(r^2) on [-pi, pi]: a minimax fit whose largest error is 1.1e-7 before rounding.
_COEFFICIENTS = tuple(
    np.float32(c)
    for c in (
        0.9999995827674866,
        -0.06534431129693985,
        0.0017115906812250614,
        -2.4653027139720507e-05,
        2.0038484649376187e-07,
    )
)


def _sine_of_reduced(r: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(r) for r in [-pi, pi]."""
    u = r * r
    p = _COEFFICIENTS[-1]
    for c in reversed(_COEFFICIENTS[:-1]):
        p = p * u + c
    return (r - r * u * _INVERSE_PI_SQUARED) * p


def _reduce(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x minus its nearest multiple of 2 pi, in [-pi, pi]."""
    k = jnp.round(x * _INVERSE_TWO_PI)
    return (x - k * _TWO_PI_HIGH) - k * _TWO_PI_LOW


@jax.custom_jvp
def _fast_sine(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return _sine_of_reduced(_reduce(x))


@jax.custom_jvp
def _fast_cosine(x: Float[Array, "..."]) -> Float[Array, "..."]:
    # cos(x) = sin(pi/2 - |r|): exactly symmetric, and the argument stays inside [-pi/2, pi/2].
    return _sine_of_reduced(np.float32(np.pi / 2) - jnp.abs(_reduce(x)))


@_fast_sine.defjvp
def _fast_sine_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _fast_sine(x), _fast_cosine(x) * dx


@_fast_cosine.defjvp
def _fast_cosine_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    return _fast_cosine(x), -_fast_sine(x) * dx


def fast_sine(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(x), differentiable to any order.

    In float32 its absolute error is below 1e-6 for |x| <= 1000 (beyond that the rounding of x itself dominates). Other
    types have `jnp.sin`, which is exact to rounding: float64 is for gradient checks.

    >>> jnp.round(fast_sine(jnp.array([0.0, jnp.pi / 2, 30 * jnp.pi])), 5).tolist()
    [0.0, 1.0, 0.0]
    """
    if x.dtype != jnp.float32:
        return jnp.sin(x)
    return _fast_sine(x)


SINES = {"fast": fast_sine, "plain": jnp.sin}
"""Name -> activation; "plain" is XLA's own, the reference that `benchmarks/speed.py` compares with."""
