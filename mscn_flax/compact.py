"""A sparse network without the units that its zeros make superfluous: the same output from smaller layers."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from mscn_flax.sine import SINES
from mscn_flax.siren import Siren


def compact(siren: Siren, params: PyTree) -> PyTree:
    """The parameters of a SIREN with fewer units and, up to rounding, the same output.

    A unit whose outgoing weights are all zero is dropped. A unit whose incoming weights are all zero is constant,
    sin(w0 b): what it adds to the next layer moves into that layer's biases, and it is dropped too. Dropping a unit may
    make another one superfluous, so this is repeated until nothing changes. Each layer keeps at least one unit.

    Args:
      siren: the network, whose w0 and sine are used.
      params: parameters of the network with delta added, in the structure of `siren`'s own.
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
    """Values at `coords` of a compacted network, whose layers may differ in width.

    Raises:
      ValueError: if the factors of matrix products are to be rounded, which is not done here.
    """
    if siren.matmul_dtype != "float32":
        raise ValueError(f"a compacted network has matmul_dtype float32 alone, got {siren.matmul_dtype}")
    sine = SINES[siren.sine]
    *hidden, output = [params[name] for name in [*sorted(name for name in params if name != "output"), "output"]]
    h = 2 * coords - 1 if siren.centred else coords
    for layer in hidden:
        h = sine(siren.w0 * (h @ layer["kernel"] + layer["bias"][None, :]))
    return h @ output["kernel"] + output["bias"][None, :] + siren.shift


def weight_flops(params: PyTree, *, non_zero: bool = False) -> int:
    """FLOPs per point of the matrix products in a forward pass, with all weights or with the nonzero ones alone."""
    kernels = [np.asarray(layer["kernel"]) for layer in params.values()]
    return 2 * sum(int(np.count_nonzero(kernel)) if non_zero else kernel.size for kernel in kernels)
