"""A network without what its zeros make superfluous: fewer units, the same output."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from mscn_flax.sine import SINES
from mscn_flax.siren import Siren


def compact(siren: Siren, params: PyTree) -> PyTree:
    """Parameters of a SIREN with fewer units and, up to rounding, the same output.

    A unit that nothing leaves is dropped. A unit that nothing enters is constant, sin(w0 b): what it adds to the next
    layer goes into that layer's biases, and it is dropped too. One drop may bring about another, so this is repeated
    until nothing changes. A layer keeps one unit at least.

    Args:
      siren: says w0 and which sine.
      params: of one network, delta included, in the form of `siren`.
    """
    names = [*sorted(name for name in params if name != "output"), "output"]
    kernels = [np.array(params[name]["kernel"]) for name in names]
    biases = [np.array(params[name]["bias"]) for name in names]
    sine = SINES[siren.sine]
    changed = True
    while changed:
        changed = False
        for layer in range(len(names) - 1):
            entered, left = kernels[layer].any(axis=0), kernels[layer + 1].any(axis=1)
            keep = entered & left
            if not keep.any():
                keep[np.argmax(left)] = True
            if keep.all():
                continue
            constant = ~entered & ~keep
            value = np.asarray(sine(jnp.asarray(siren.w0 * biases[layer][constant])))
            biases[layer + 1] = biases[layer + 1] + value @ kernels[layer + 1][constant]
            kernels[layer], biases[layer] = kernels[layer][:, keep], biases[layer][keep]
            kernels[layer + 1] = kernels[layer + 1][keep]
            changed = True
    return {name: {"kernel": k, "bias": b} for name, k, b in zip(names, kernels, biases, strict=True)}


def apply(siren: Siren, params: PyTree, coords: Float[Array, "N d"]) -> Float[Array, "N c"]:
    """Values of a compacted network, whose layers may differ in width.

    Raises:
      ValueError: where products are to be rounded, which is not done here.
    """
    if siren.products != "float32":
        raise ValueError(f"a compacted network has products in float32 alone, got {siren.products}")
    sine = SINES[siren.sine]
    *hidden, output = [params[name] for name in [*sorted(name for name in params if name != "output"), "output"]]
    h = 2 * coords - 1 if siren.centred else coords
    for layer in hidden:
        h = sine(siren.w0 * (h @ layer["kernel"] + layer["bias"][None, :]))
    return h @ output["kernel"] + output["bias"][None, :] + siren.shift


def weight_flops(params: PyTree, *, non_zero: bool = False) -> int:
    """FLOPs a point of a forward pass's matrix products: of all weights, or of the non-zero ones alone."""
    kernels = [np.asarray(layer["kernel"]) for layer in params.values()]
    return 2 * sum(int(np.count_nonzero(kernel)) if non_zero else kernel.size for kernel in kernels)
