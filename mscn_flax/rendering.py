"""Volume rendering: a field of colour and density in space, seen along rays (Mildenhall et al. 2020, eq. 3).

As in Functa's code for SRN Cars: points at fixed, even depths, density clip(elu(s, 0.1) + 0.1, 0, 10) of the field's
fourth value s, a white background, no dependence on the direction of view.
"""

import dataclasses

import flax.linen as nn
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mscn_flax.siren import LatentModulatedSiren, Siren

_LAST = 1e-3
"""Thickness of the last point's slab in depth: what lies behind it is background."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Camera:
    """Where rays are looked at.

    Attributes:
      near: depth of the first point, in units of the scene along the optical axis.
      far: depth of the last.
      samples: points a ray, evenly spaced from `near` to `far`.

    Raises:
      ValueError: where the depths are not 0 <= near < far, or there are fewer than two points.
    """

    near: float = 0.8
    far: float = 1.8
    samples: int = 32

    def __post_init__(self):
        if not (0 <= self.near < self.far and self.samples >= 2):
            raise ValueError(f"a camera needs 0 <= near < far and 2 samples, got {self}")

    @property
    def depths(self) -> Float[Array, " S"]:
        """Of the points of a ray."""
        return jnp.linspace(self.near, self.far, self.samples, dtype=jnp.float32)


class RadianceField(nn.Module):
    """What a camera sees of a field of colour and density: a field whose coordinates are rays.

    Attributes:
      siren: maps points of space [M, 3] and a code to red, green, blue and s [M, 4].
      camera: the rays' points.
    """

    siren: Siren | LatentModulatedSiren
    camera: Camera = dataclasses.field(default_factory=Camera)

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of the field in space."""
        return self.siren.code_shape

    @nn.compact
    def __call__(self, rays: Float[Array, "N 6"], code: Float[Array, "*code"]) -> Float[Array, "N 3"]:
        """Colours seen along rays of origin [3] and direction [3]."""
        origins, directions = jnp.split(rays, 2, axis=-1)
        depths = self.camera.depths
        points = origins[:, None, :] + depths[None, :, None] * directions[:, None, :]
        values = self.siren(points.reshape(-1, 3), code).reshape(len(rays), len(depths), 4)
        length = jnp.linalg.norm(directions, axis=-1)
        return composite(values[..., :3], density(values[..., 3]), slabs(depths)[None, :] * length[:, None])


def points_a_coordinate(field: nn.Module) -> int:
    """Evaluations of the network for each coordinate of a field: the points of a ray, else 1."""
    return field.camera.samples if isinstance(field, RadianceField) else 1


def density(s: Float[Array, "..."]) -> Float[Array, "..."]:
    """clip(elu(s, 0.1) + 0.1, 0, 10), a unit length."""
    return jnp.clip(jax.nn.elu(s, 0.1) + 0.1, 0, 10)


def slabs(depths: Float[Array, " S"]) -> Float[Array, " S"]:
    """The depth that each point stands for: up to the next, and next to nothing for the last."""
    return jnp.append(jnp.diff(depths), jnp.float32(_LAST))


def composite(
    colours: Float[Array, "N S 3"], densities: Float[Array, "N S"], lengths: Float[Array, "N S"]
) -> Float[Array, "N 3"]:
    """The colour of each ray: sum_i T_i (1 - exp(-sigma_i delta_i)) c_i, and white for what passes through all.

    T_i = exp(-sum_{j < i} sigma_j delta_j) is what reaches point i.
    """
    depth = densities * lengths
    before = jnp.cumsum(depth, axis=-1) - depth
    weights = jnp.exp(-before) * -jnp.expm1(-depth)
    return jnp.sum(weights[..., None] * colours, axis=-2) + jnp.exp(-jnp.sum(depth, axis=-1))[:, None]
