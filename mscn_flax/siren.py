"""Linen modules: SIREN, and the map from a latent vector to its modulations (Functa, COIN++).

A *field* maps coordinates and the code of one signal to values: `field(coords, code)`. The code of a `Siren` is its
modulations m[L, width] themselves (MSCN, eq. 10); the code of a `LatentModulatedSiren` is a latent vector (Functa).
Either way the code is all that differs between signals, a code of zeros stands for the base network, and
`field.code_shape` is its shape.
"""

import dataclasses

import flax.linen as nn
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mscn_flax.sine import SINES


def base_siren(field) -> nn.Module:
    """The SIREN inside a field that modulates, adapts or renders one; the field itself if there is none inside it."""
    while hasattr(field, "siren"):
        field = field.siren
    return field


def with_depth(field: nn.Module, depth: int) -> nn.Module:
    """The same field over a SIREN of another depth."""
    changes = {"siren": with_depth(field.siren, depth)} if hasattr(field, "siren") else {"depth": depth}
    return dataclasses.replace(field, **changes)


def siren_init(w0: float, *, first: bool) -> nn.initializers.Initializer:
    """SIREN initialisation (Sitzmann et al. 2020, section 3.2).

    U(-1/fan_in, 1/fan_in) for the first layer, U(-sqrt(6/fan_in)/w0, sqrt(6/fan_in)/w0) for all others, including the
    linear output.
    """

    def init(key, shape, dtype=jnp.float32):
        fan_in = shape[0]
        return _uniform(1 / fan_in if first else (6 / fan_in) ** 0.5 / w0)(key, shape, dtype)

    return init


def _without_coordinates(init: nn.initializers.Initializer, units: int, *, first: bool) -> nn.initializers.Initializer:
    """The same start, but the first `units` units see no input, or behind the first layer the first `units` alone."""
    return lambda *arguments: init(*arguments).at[0 if first else units :, :units].set(0)


def _uniform(bound: float) -> nn.initializers.Initializer:
    """U(-bound, bound)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


MATMUL_DTYPES = ("float32", "tf32", "bfloat16")
"""Precision of the matrix products between hidden layers; all are summed in float32.

- "float32": the precision of all other products, which `devices.choose` sets to float32.
- "tf32": factors are rounded to 10 bits, forward and back, on a GPU that has TF32. A TPU has three products in bfloat16
  instead, a CPU float32.
- "bfloat16": factors are rounded to 7 bits in the forward pass, on every device. In the backward pass the kernel or the
  activations are rounded so, and the product with the gradient is one of "tf32".
"""


def product(x: Float[Array, "N i"], kernel: Float[Array, "i o"], matmul_dtype: str) -> Float[Array, "N o"]:
    """The product x W in float32, computed with one of `MATMUL_DTYPES`."""
    if matmul_dtype == "float32":
        return x @ kernel
    factors = (a.astype(jnp.bfloat16) for a in (x, kernel)) if matmul_dtype == "bfloat16" else (x, kernel)
    return jnp.matmul(*factors, precision=jax.lax.Precision.HIGH, preferred_element_type=jnp.float32)


class _Affine(nn.Module):
    """x W + b, where W is initialised as in a SIREN layer, and b at zero or drawn from the range of W."""

    features: int
    kernel_init: nn.initializers.Initializer
    uniform_bias: bool
    matmul_dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "N i"]) -> Float[Array, "N o"]:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        if self.uniform_bias:
            # Drawn like a row of the kernel, whose range depends on the number of its rows.
            bias = self.param("bias", lambda key: self.kernel_init(key, shape)[0])
        else:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return product(x, kernel, self.matmul_dtype) + bias[None, :]


@gin.configurable(denylist=["name", "parent"])
class Siren(nn.Module):
    """SIREN with shift modulations: x -> sin(w0 (W x + b + m)), last layer linear, + shift (eq. 10 without its gate).

    Attributes:
      depth: number of layers including the linear output: `depth - 1` sine layers, all of them modulated.
      width: number of units per sine layer.
      w0: frequency factor of all sine layers.
      out_dim: c, number of values per point.
      sine: name of the activation, a key of `sine.SINES`.
      centred: map coordinates from [0, 1] to [-1, 1] first, as in MetaSparseINR's code.
      uniform_bias: biases start in the range of their layer's weights (MetaSparseINR's code) instead of at zero.
      shift: added to the output; 0.5, the middle of the targets' range, in Functa's code, 0 in MetaSparseINR's.
      coordinate_free: number of units of the first layer whose weights and bias start at zero. Such a unit does not
        depend on the coordinates: its modulation is a shift of all units of the next layer. Without a bias its sine
        is at its steepest, so that the modulation has the largest effect and, of both signs, the opposite one; the
        base network starts as if the unit were not there.
      coordinate_free_layers: number of layers, from the first, that have so many units of the kind. Those of a later
        layer start with weights from the units of the kind alone, so that a modulation of the first layer shifts all
        units of as many layers behind it, as a latent does.
      coordinate_free_shift: whether these units shift the others of the first layer too, as a latent does, by a kernel
        [coordinate_free, width - coordinate_free] that starts at zero; drawn like other layers' it gains less.
      matmul_dtype: type of the factors in the matrix products between hidden layers, one of `MATMUL_DTYPES`; the first
        layer, whose coordinates w0 magnifies, and the output always have float32.

    Raises:
      ValueError: for an unknown sine or type, a network without a sine layer, or more units without coordinates than
        the first layer has.
    """

    depth: int = 15
    width: int = 512
    w0: float = 30.0
    out_dim: int = 3
    sine: str = "fast"
    centred: bool = False
    uniform_bias: bool = False
    shift: float = 0.5
    matmul_dtype: str = dataclasses.field(default="float32", metadata={"id": "products"})
    coordinate_free: int = 0
    coordinate_free_layers: int = 1
    coordinate_free_shift: bool = False

    def __post_init__(self):
        if self.matmul_dtype not in MATMUL_DTYPES:
            raise ValueError(f"no matmul_dtype {self.matmul_dtype!r}; there are {', '.join(MATMUL_DTYPES)}")
        if self.sine not in SINES:
            raise ValueError(f"no sine {self.sine!r}; there are {', '.join(SINES)}")
        if self.depth < 2 or self.width < 1:
            raise ValueError(f"a SIREN needs depth >= 2 and width >= 1, got {self.depth} and {self.width}")
        if not 0 <= self.coordinate_free <= self.width:
            raise ValueError(f"Siren.coordinate_free must be from 0 to width {self.width}, got {self.coordinate_free}")
        if not 1 <= self.coordinate_free_layers < self.depth:
            most = f"from 1 to {self.depth - 1}, the sine layers"
            raise ValueError(f"Siren.coordinate_free_layers must be {most}, got {self.coordinate_free_layers}")
        if self.coordinate_free_shift and not 0 < self.coordinate_free < self.width:
            needs = f"coordinate_free units and others, got {self.coordinate_free} of {self.width}"
            raise ValueError(f"Siren.coordinate_free_shift needs {needs}")
        super().__post_init__()

    @property
    def code_shape(self) -> tuple[int, int]:
        """Shape [L, width] of the modulations, L = depth - 1."""
        return (self.depth - 1, self.width)

    @nn.compact
    def __call__(
        self, coords: Float[Array, "N d"], modulations: Float[Array, "L w"] | None = None
    ) -> Float[Array, "N c"]:
        """Values at `coords`; the base network's if the modulations are zero or None."""
        if modulations is not None and modulations.shape != self.code_shape:
            raise ValueError(f"modulations have shape {modulations.shape}, this SIREN takes {self.code_shape}")
        sine = SINES[self.sine]

        def affine(layer, features, name, matmul_dtype="float32"):
            init = siren_init(self.w0, first=layer == 0)
            if self.coordinate_free and layer < self.coordinate_free_layers:
                init = _without_coordinates(init, self.coordinate_free, first=layer == 0)
            return _Affine(features, init, self.uniform_bias, matmul_dtype, name=name)

        h = 2 * coords - 1 if self.centred else coords
        for layer in range(self.depth - 1):
            pre = affine(layer, self.width, f"layer_{layer:02d}", self.matmul_dtype if layer else "float32")(h)
            if modulations is not None:
                # Added to the pre-activation, so that the first layer is computed once per batch if all signals share
                # their coordinates.
                pre += modulations[layer][None, :]
            if layer == 0 and self.coordinate_free_shift:
                free = sine(self.w0 * pre[:, : self.coordinate_free])
                options = {"use_bias": False, "kernel_init": nn.initializers.zeros, "name": "layer_00_free"}
                shift = nn.Dense(self.width - self.coordinate_free, **options)(free)
                pre += jnp.pad(shift, ((0, 0), (self.coordinate_free, 0)))
            h = sine(self.w0 * pre)
        return affine(self.depth - 1, self.out_dim, "output")(h) + self.shift


class LatentModulatedSiren(nn.Module):
    """A SIREN whose modulations are one linear map of a latent vector (Functa, section 3.1 of Dupont et al. 2022a).

    Attributes:
      siren: the modulated base network.
      latent_dim: size of the latent vector, which is the signal's code.
      uniform_map: the map's weights and biases start at U(-1, 1) / sqrt(latent_dim), as in COIN++'s code; otherwise as
        in Functa's: a normal distribution of standard deviation 1 / sqrt(latent_dim), truncated at two of them, and
        biases of 0.
    """

    siren: Siren
    latent_dim: int = 64
    uniform_map: bool = False

    @property
    def code_shape(self) -> tuple[int]:
        """Shape [latent_dim] of the latent vector."""
        return (self.latent_dim,)

    @nn.compact
    def __call__(self, coords: Float[Array, "N d"], latent: Float[Array, " latent"]) -> Float[Array, "N c"]:
        """Values at `coords`; a latent vector of zeros gives the base network but for the map's bias."""
        layers, width = self.siren.code_shape
        spread = self.latent_dim**-0.5
        # Not lecun_normal, which widens the normal distribution so that the truncated one has that deviation.
        kernel_init, bias_init = nn.initializers.truncated_normal(spread), nn.initializers.zeros
        if self.uniform_map:
            kernel_init = bias_init = _uniform(spread)
        latent_to_modulations = nn.Dense(
            layers * width, kernel_init=kernel_init, bias_init=bias_init, name="latent_to_modulations"
        )
        return self.siren(coords, latent_to_modulations(latent).reshape(layers, width))
