"""What a model's file says of itself, and the parts that it is made of: nothing in it is believed unchecked."""

import json
import math

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mscn_flax import architecture, entropy
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.contexts import Contexts
from mscn_flax.curvature import Curvature
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import MODALITIES, Modality
from mscn_flax.quantize import Quantizer
from mscn_flax.rendering import Camera, RadianceField, points_per_coordinate
from mscn_flax.siren import base_siren
from mscn_flax.transform import Transform

PARTS = {
    "transform": (Transform, {"mean": (np.float32, "n"), "basis": (np.float16, "nn")}),
    "contexts": (
        Contexts,
        {
            "neighbours": (np.int32, "n3"),
            "units": (np.int32, "n"),
            "gains": (np.int64, "n4"),
            "edges": (np.int64, "k"),
        },
    ),
}
"""What a model may have besides, by its name in `Model`: its class, and the type and shape of its arrays.

k is one less than there are tables.
"""

_MAX_ACTIVATIONS = 1 << 28
"""Largest number of units times points of a part: a decoder holds a few such layers of float32 at a time."""

_LEARNER = {"inner_steps": int, "meta_sgd": bool, "adapt_gates": bool}
_NEWER_LEARNER = {"lr_per_step": bool, "train_steps": int}
"""Left out where they are at their default, so that older models keep their ids."""

_NEWER_CODER = {"refined": int, "overlap": bool, "half": bool}
"""Likewise."""

_MISFIT = "mask, quantiser and tables do not fit each other"

_UNSAID = ("kind", "image")
"""What a model's description leaves out: its id depends on it."""


def check_field(field: nn.Module | Camera | DeltaSiren, modality: Modality, side: int) -> None:
    """Raises a ValueError for a field of other signals, or one whose layers would fill the memory."""
    if isinstance(field, Camera) or isinstance(field, RadianceField) != bool(modality.extra_channels):
        raise ValueError(f"a {type(field).__name__} is no field of a {modality.noun}")
    points = math.prod(modality.shape(side)) * points_per_coordinate(field)
    if points * base_siren(field).width > _MAX_ACTIVATIONS:
        raise ValueError(f"{points:,} points of {base_siren(field).width} units are more than {_MAX_ACTIVATIONS:,}")


def describe(coder: Coder, bits: int) -> str:
    """The network, its learner and its coder, and the bits of the quantiser, as text that the id of a model covers."""
    learner = coder.learner
    options = {name: getattr(learner, name) for name in _LEARNER}
    options |= {name: value for name in _NEWER_LEARNER if (value := getattr(learner, name))}
    if learner.curvature is not None:
        options["curvature"] = architecture.describe(learner.curvature)
    description = {
        "field": architecture.describe(learner.field),
        "learner": options,
        "budget": None if learner.controller is None else learner.controller.budget,
        "bits": bits,
        "side": coder.side,
        "steps": coder.steps,
        "kind": coder.modality.name,
    }
    description |= {name: value for name in _NEWER_CODER if (value := getattr(coder, name))}
    return json.dumps({k: v for k, v in description.items() if (k, v) != _UNSAID}, sort_keys=True)


def assemble(told: dict, tensors: dict[str, np.ndarray]) -> dict[str, object]:
    """The fields of a `Model` that decide what it does, by name, with every type, value and shape checked.

    Args:
      told: what `describe` has written.
      tensors: every array of the model by its dotted name.

    Raises:
      ValueError: in one line, for what does not fit; errors of other kinds for what cannot be read at all.
    """
    coder, bits = _coder(told, tensors), architecture.checked("bits", told["bits"], int)
    tables, groups, excess_table = (tensors[name] for name in ("tables", "groups", "excess_table"))
    transform, contexts = (_part(name, tensors, len(groups), len(tables)) for name in PARTS)
    # A range for each entry, or one for all of a transform's or where each signal has its own mask: files have no
    # arrays without an axis.
    one_range = coder.mask is None or transform is not None
    ranges = (tensors[f"quantizer.{name}"] for name in ("low", "step"))
    low, step = (each.reshape(() if one_range else groups.shape) for each in ranges)
    mask_tables = tensors.get("mask_tables")
    counts = [each for each in (tables, mask_tables, excess_table) if each is not None]
    consistent = (
        low.dtype == step.dtype == np.float32
        and groups.dtype == np.int32
        and all(each.dtype == np.uint32 and (each.sum(axis=-1) == entropy.TOTAL).all() for each in counts)
        and all(each.min() > 0 for each in counts)
        and tables.ndim == 2
        and tables.shape[1] == 1 << bits
        and excess_table.ndim == 1
        and len(excess_table) >= 2
        and (mask_tables is None or mask_tables.shape == (coder.size, 2))
        and groups.shape == (np.count_nonzero(coder.stored),)
        and 0 <= groups.min() <= groups.max() < len(tables)
        and (contexts is None or (np.diff(contexts.edges) >= 0).all())
        and (coder.mask is not None or (transform is None and contexts is None))
    )
    if not consistent:
        raise ValueError(_MISFIT)
    quantizer = Quantizer(bits, low, step, len(excess_table) - 1 - (0 if contexts is None else 1 << bits))
    if not (quantizer.beyond >= 1 and _levels_rise(quantizer)):
        raise ValueError(_MISFIT)
    return {
        "coder": coder,
        "quantizer": quantizer,
        "tables": tables,
        "groups": groups,
        "mask_tables": mask_tables,
        "excess_table": excess_table,
        "transform": transform,
        "contexts": contexts,
    }


def _levels_rise(quantizer: Quantizer) -> bool:
    """Whether the levels of a quantiser rise, and are finite up to the outermost."""
    with np.errstate(over="ignore", invalid="ignore"):
        ends = quantizer.dequantize(np.array([[-quantizer.beyond], [quantizer.levels + quantizer.beyond]]))
    return bool(np.isfinite(ends).all() and (quantizer.step > 0).all())


def _coder(told: dict, tensors: dict[str, np.ndarray]) -> Coder:
    """The network with its weights, its learner and its mask; see `assemble`."""
    modality = MODALITIES[told.get(*_UNSAID)]
    side, steps = (architecture.checked(name, told[name], int) for name in ("side", "steps"))
    learner = _learner(told["learner"], architecture.build(told["field"]), told["budget"])
    check_field(learner.field, modality, side)
    theta = {name.removeprefix("theta."): each for name, each in tensors.items() if name.startswith("theta.")}
    wanted = jax.eval_shape(learner.init, jax.random.key(0), jax.ShapeDtypeStruct((1, modality.dims), np.float32))
    wanted = {name: leaf.shape for name, leaf in flatten_dict(wanted, sep=".").items()}
    if wrong := {name for name in wanted | theta if wanted.get(name) != getattr(theta.get(name), "shape", None)}:
        raise ValueError(f"{min(wrong)} is missing, too many, or of another shape")
    for name, values in theta.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{name} needs finite values of type float32")
    mask = tensors.get("mask")
    if (mask is None) != learner.adapt_gates or ("mask_tables" in tensors) != learner.adapt_gates:
        raise ValueError("it needs either a shared mask or tables of the signals' masks")
    if mask is not None and not (mask.dtype == bool and mask.shape == learner.field.code_shape):
        raise ValueError(_MISFIT)
    newer = {name: architecture.checked(name, told[name], kind) for name, kind in _NEWER_CODER.items() if name in told}
    return Coder(learner, unflatten_dict(theta, sep="."), mask, side, steps, modality, **newer)


def _learner(told: dict, field: nn.Module | Camera, budget: int | None) -> MetaLearner:
    controller = None
    if budget is not None:
        controller = BudgetController(budget=architecture.checked("budget", budget, int))
    options = {name: architecture.checked(name, told[name], kind) for name, kind in _LEARNER.items()}
    newer = {name: kind for name, kind in _NEWER_LEARNER.items() if name in told}
    options |= {name: architecture.checked(name, told[name], kind) for name, kind in newer.items()}
    if "curvature" in told:
        options["curvature"] = architecture.checked("curvature", architecture.build(told["curvature"]), Curvature)
    return MetaLearner(field=field, controller=controller, **options)


def _part(name: str, tensors: dict[str, np.ndarray], entries: int, tables: int) -> Transform | Contexts | None:
    """The transform or the contexts, None where there are none.

    Raises:
      ValueError: for arrays of another type or shape, or values that are not finite.
    """
    kind, wanted = PARTS[name]
    if not any(each.startswith(f"{name}.") for each in tensors):
        return None
    sizes, arrays = {"n": entries, "k": tables - 1, "3": 3, "4": 4}, {}
    for part, (dtype, axes) in wanted.items():
        arrays[part] = tensors[f"{name}.{part}"]
        if arrays[part].dtype != dtype or arrays[part].shape != tuple(sizes[axis] for axis in axes):
            raise ValueError(f"{name}.{part} has another type or shape than the model needs")
        if not np.isfinite(arrays[part]).all():
            raise ValueError(f"{name}.{part} needs finite values")
    return kind(**arrays)
