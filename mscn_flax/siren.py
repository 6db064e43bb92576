"""Linen modules: SIREN, and the map from a latent vector to its modulations (Functa, COIN++).

A *field* maps coordinates and one signal's code to values: `field(coords, code)`. The code of a `Siren` is its
modulations m[L, width] themselves (MSCN, eq. 10); the code of a `LatentModulatedSiren` is a latent vector (Functa).
Either way the code is the only thing that differs from signal to signal, zero means "the base network", and
`field.code_shape` is its shape.
"""

import flax.linen as nn
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mscn_flax.sine import SINES


def siren_init(w0: float, *, first: bool) -> nn.initializers.Initializer:
    """SIREN initialisation (Sitzmann et al. 2020, section 3.2).

    U(-1/fan_in, 1/fan_in) for the first layer, U(-sqrt(6/fan_in)/w0, +sqrt(6/fan_in)/w0) for every other one,
    the linear output included.
    """

    def init(key, shape, dtype=jnp.float32):
        fan_in = shape[0]
        bound = 1 / fan_in if first else (6 / fan_in) ** 0.5 / w0
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class _Affine(nn.Module):
    """x W + b with W initialised as a SIREN layer and b at zero."""

    features: int
    kernel_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: Float[Array, "N i"]) -> Float[Array, "N o"]:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ kernel + bias[None, :]


@gin.configurable(denylist=["name", "parent"])
class Siren(nn.Module):
    """SIREN with shift modulations: x -> sin(w0 (W x + b + m)), last layer linear, + 0.5 (eq. 10 without its gate).

    Attributes:
      depth: number of layers, the linear output included: `depth - 1` sine layers, all modulated.
      width: units a sine layer.
      w0: frequency factor of every sine layer.
      out_dim: c, values a point.
      sine: the activation, a key of `sine.SINES`.
    """

    depth: int = 15
    width: int = 512
    w0: float = 30.0
    out_dim: int = 3
    sine: str = "fast"

    def __post_init__(self):
        if self.sine not in SINES:
            raise ValueError(f"no sine {self.sine!r}; there are {', '.join(SINES)}")
        if self.depth < 2 or self.width < 1:
            raise ValueError(f"a SIREN needs depth >= 2 and width >= 1, got {self.depth} and {self.width}")
        super().__post_init__()

    @property
    def code_shape(self) -> tuple[int, int]:
        """Shape [L, width] of the modulations, L = depth - 1."""
        return (self.depth - 1, self.width)

    @nn.compact
    def __call__(self, coords: Float[Array, "N d"], modulations: Float[Array, "L w"]) -> Float[Array, "N c"]:
        """Values at `coords`; zero modulations give the base network."""
        if modulations.shape != self.code_shape:
            raise ValueError(f"modulations have shape {modulations.shape}, this SIREN takes {self.code_shape}")
        sine = SINES[self.sine]
        h = coords
        for layer in range(self.depth - 1):
            affine = _Affine(self.width, siren_init(self.w0, first=layer == 0), name=f"layer_{layer:02d}")
            # The modulation is added to the pre-activation, so that a first layer whose coordinates are shared by
            # all signals of a batch is computed once.
            h = sine(self.w0 * (affine(h) + modulations[layer][None, :]))
        return _Affine(self.out_dim, siren_init(self.w0, first=False), name="output")(h) + 0.5


@gin.configurable(denylist=["name", "parent"])
class LatentModulatedSiren(nn.Module):
    """A SIREN whose modulations are one linear map of a latent vector (Functa, section 3.1 of Dupont et al. 2022a).

    Attributes:
      siren: the modulated base network.
      latent_dim: size of the latent vector, the signal's code.
    """

    siren: Siren
    latent_dim: int = 64

    @property
    def code_shape(self) -> tuple[int]:
        """Shape [latent_dim] of the latent vector."""
        return (self.latent_dim,)

    @nn.compact
    def __call__(self, coords: Float[Array, "N d"], latent: Float[Array, " latent"]) -> Float[Array, "N c"]:
        """Values at `coords`; a zero latent gives the base network up to the map's bias."""
        layers, width = self.siren.code_shape
        # The reference code's initialisation: a normal of standard deviation 1 / sqrt(latent_dim) truncated at two of
        # them, bias 0. (Not lecun_normal, which widens the normal so that the truncated one has that deviation.)
        latent_to_modulations = nn.Dense(
            layers * width,
            kernel_init=nn.initializers.truncated_normal(self.latent_dim**-0.5),
            name="latent_to_modulations",
        )
        return self.siren(coords, latent_to_modulations(latent).reshape(layers, width))
