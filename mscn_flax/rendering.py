"""Volume rendering: a field of colour and density in space, seen along rays (Mildenhall et al. 2020, eq. 3).

As in Functa's code for SRN Cars: points at fixed and evenly spaced depths, density clip(elu(s, 0.1) + 0.1, 0, 10) of
the field's fourth value s, a white background, and no dependence on the viewing direction.
"""

import dataclasses

import flax.linen as nn
import gin
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mscn_flax.delta import DeltaSiren
from mscn_flax.siren import LatentModulatedSiren, Siren

_LAST = 1e-3
"""Thickness of the last point's slab, in units of depth: what lies behind it is background."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Camera:
    """The points along a ray at which a field is evaluated.

    Attributes:
      near: depth of the first point, in units of the scene, along the optical axis.
      far: depth of the last point.
      samples_per_ray: number of points per ray, evenly spaced from `near` to `far`.

    Raises:
      ValueError: unless 0 <= near < far, or for fewer than two points per ray.
    """

    near: float = 0.8
    far: float = 1.8
    samples_per_ray: int = dataclasses.field(default=32, metadata={"id": "samples"})

    def __post_init__(self):
        if not (0 <= self.near < self.far and self.samples_per_ray >= 2):
            raise ValueError(f"a camera needs 0 <= near < far and samples_per_ray >= 2, got {self}")

    @property
    def depths(self) -> Float[Array, " S"]:
        """Depths of the points of a ray."""
        return jnp.linspace(self.near, self.far, self.samples_per_ray, dtype=jnp.float32)


class RadianceField(nn.Module):
    """What a camera sees of a field of colour and density: itself a field, whose coordinates are rays.

    Attributes:
      siren: maps points in space [M, 3] and a code to red, green, blue and s [M, 4].
      camera: the points along each ray.
    """

    siren: Siren | LatentModulatedSiren
    camera: Camera = dataclasses.field(default_factory=Camera)

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of the code, that of the field in space."""
        return self.siren.code_shape

    @nn.compact
    def __call__(self, rays: Float[Array, "N 6"], code: Float[Array, "*code"]) -> Float[Array, "N 3"]:
        """Colours seen along rays, each given by its origin [3] and its direction [3]."""
        origins, directions = jnp.split(rays, 2, axis=-1)
        depths = self.camera.depths
        points = origins[:, None, :] + depths[None, :, None] * directions[:, None, :]
        values = self.siren(points.reshape(-1, 3), code).reshape(len(rays), len(depths), 4)
        length = jnp.linalg.norm(directions, axis=-1)
        return composite(values[..., :3], density(values[..., 3]), slabs(depths)[None, :] * length[:, None])


def points_per_coordinate(field: nn.Module | DeltaSiren) -> int:
    """Number of evaluations of the network per coordinate of a field: the points of a ray, otherwise 1."""
    return field.camera.samples_per_ray if isinstance(field, RadianceField) else 1


def density(s: Float[Array, "..."]) -> Float[Array, "..."]:
    """Density per unit of length: clip(elu(s, 0.1) + 0.1, 0, 10)."""
    return jnp.clip(jax.nn.elu(s, 0.1) + 0.1, 0, 10)


def slabs(depths: Float[Array, " S"]) -> Float[Array, " S"]:
    """The range of depths that each point stands for: up to the next point, and next to nothing for the last one.

    >>> [round(thickness, 3) for thickness in slabs(jnp.array([0.5, 1.0, 2.0])).tolist()]
    [0.5, 1.0, 0.001]
    """
    return jnp.append(jnp.diff(depths), jnp.float32(_LAST))


def composite(
    colours: Float[Array, "N S 3"], densities: Float[Array, "N S"], lengths: Float[Array, "N S"]
) -> Float[Array, "N 3"]:
    """The colour of each ray: sum_i T_i (1 - exp(-sigma_i delta_i)) c_i, plus white for what passes all points.

    T_i = exp(-sum_{j < i} sigma_j delta_j) is the fraction of the light that reaches point i.
    """
    depth = densities * lengths
    before = jnp.cumsum(depth, axis=-1) - depth
    weights = jnp.exp(-before) * -jnp.expm1(-depth)
    return jnp.sum(weights[..., None] * colours, axis=-2) + jnp.exp(-jnp.sum(depth, axis=-1))[:, None]
