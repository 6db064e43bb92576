"""What a model's file says of its architecture: classes and numbers, each of its type and within its bounds."""

import dataclasses
import types

import flax.linen as nn

from mscn_flax.curvature import Curvature, FullCurvature, KroneckerCurvature, LayerCurvature, LowRankCurvature
from mscn_flax.delta import DeltaSiren
from mscn_flax.quantize import MAX_BITS
from mscn_flax.rendering import Camera, RadianceField
from mscn_flax.siren import LatentModulatedSiren, Siren

_CURVATURES = (LayerCurvature, FullCurvature, LowRankCurvature, KroneckerCurvature)
_CLASSES = {part.__name__: part for part in (Siren, LatentModulatedSiren, RadianceField, Camera, *_CURVATURES)}
_NEWER = ("matmul_dtype", "coordinate_free", "coordinate_free_layers", "coordinate_free_shift")
"""Attributes that models did not have at first: those of then keep their ids."""

_BOUNDS = {
    "depth": (2, 64),
    "width": (1, 1 << 12),
    "coordinate_free": (0, 1 << 12),
    "coordinate_free_layers": (1, 63),
    "out_dim": (1, 16),
    "w0": (1e-3, 1e4),
    "shift": (-1e4, 1e4),
    "latent_dim": (1, 1 << 16),
    "near": (0, 1e6),
    "far": (0, 1e6),
    "scale": (-1e4, 1e4),
    "rank": (1, 1 << 12),
    "samples_per_ray": (2, 1 << 10),
    "inner_steps": (1, 1000),
    "train_steps": (1, 1000),
    "steps": (1, 1000),
    "refined": (0, 1000),
    "budget": (1, 1 << 18),
    "bits": (1, MAX_BITS),
    "side": (1, 1 << 12),
}
"""Far beyond the paper's networks, and small enough that loading, compiling and running end."""


def checked(name: str, value: object, kind: type | types.UnionType) -> object:
    """The value itself.

    Args:
      name: of the value; see `_BOUNDS`.
      value: as JSON has it.
      kind: its type: a class or a union of classes; a whole number may stand for a float.

    Raises:
      ValueError: for a value of another type or out of its bounds, which infinity and what is no number always are.
    """
    # A bool is an int to `isinstance`, but not to a network.
    fits = type(value) is kind if kind in (bool, int) else isinstance(value, kind)
    if not fits and not (kind is float and type(value) is int):
        raise ValueError(f"{name} must be of type {getattr(kind, '__name__', kind)}, is {value!r}")
    if kind in (int, float):
        low, high = _BOUNDS[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}, is {value!r}")
    return value


def describe(field: nn.Module | Camera | Curvature) -> dict:
    """The class and attributes of a field or curvature, and those of its parts.

    Newer attributes are left out where they are at their default; renamed ones have the name that ids are made of.
    """
    fields = [f for f in dataclasses.fields(field) if f.name not in ("name", "parent")]
    values = {
        f.metadata.get("id", f.name): getattr(field, f.name)
        for f in fields
        if f.name not in _NEWER or getattr(field, f.name) != f.default
    }
    return {"class": type(field).__name__} | {
        name: describe(value) if dataclasses.is_dataclass(value) else value for name, value in values.items()
    }


def check_known(field: nn.Module | Camera | DeltaSiren) -> None:
    """Raises a ValueError for a field that `build` could not make again."""
    if type(field).__name__ not in _CLASSES:
        raise ValueError(f"a model's file holds {', '.join(_CLASSES)}, no {type(field).__name__}")
    for each in dataclasses.fields(field):
        if each.name != "parent" and isinstance(part := getattr(field, each.name), nn.Module):
            check_known(part)


def build(description: dict) -> nn.Module | Camera | Curvature:
    """The inverse of `describe`, of known classes alone.

    Raises:
      KeyError: for another class or attribute.
      ValueError: see `checked`.
    """
    kind = _CLASSES[description["class"]]
    fields = {f.metadata.get("id", f.name): f for f in dataclasses.fields(kind) if f.name not in ("name", "parent")}
    attributes = {}
    for name, value in description.items():
        if name != "class":
            field, part = fields[name], build(value) if isinstance(value, dict) else value
            attributes[field.name] = checked(field.name, part, field.type)
    return kind(**attributes)
