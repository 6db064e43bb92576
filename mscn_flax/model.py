"""A model that codes signals: what all streams share, in one safetensors file; loading it executes nothing."""

import dataclasses
import functools
import hashlib
import json
import math
import pathlib

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Float, Int, UInt32

from mscn_flax import architecture, entropy, metrics
from mscn_flax.atomic import replaced
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.contexts import Contexts
from mscn_flax.curvature import Curvature
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import MODALITIES
from mscn_flax.quantize import Quantizer
from mscn_flax.rendering import Camera, RadianceField, points_per_coordinate
from mscn_flax.siren import base_siren
from mscn_flax.text import first_line, printable
from mscn_flax.transform import Transform

FORMAT = "mscn-flax model 1"

ID_BYTES = 4
"""Bytes of the model's id that a stream carries."""


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """All that encoder and decoder share.

    Attributes:
      coder: turns parts of signals into codes and back.
      quantizer: of the code's entries.
      tables: symbol frequencies.
      groups: row of `tables` of each of the `coder.stored` entries, in row-major order; of no meaning with contexts.
      mask_tables: frequencies of closed and open for each entry; None with a shared mask.
      excess_table: frequencies of how far beyond the first or the last symbol an entry lies.
      transform: from stored entries to what is quantised; None to quantise the entries themselves.
      contexts: predict levels and choose among the tables; None for a table per group and no prediction.
      gin: configuration of the training, for people.
      trained_on: data set, number of outer steps and random seed, for people.
      held_out: rate and error of signals that it was not trained on, for people.
    """

    coder: Coder
    quantizer: Quantizer
    tables: UInt32[np.ndarray, "G A"]
    groups: Int[np.ndarray, " n"]
    mask_tables: UInt32[np.ndarray, "P 2"] | None
    excess_table: UInt32[np.ndarray, " E"]
    transform: Transform | None = None
    contexts: Contexts | None = None
    gin: str = ""
    trained_on: str = ""
    held_out: str = ""

    @functools.cached_property
    def id(self) -> str:
        """SHA-256, in hexadecimal, of weights, mask, quantiser, tables and architecture."""
        return digest(_architecture(self), _tensors(self))

    def explain(self) -> str:
        """What it is, one line for each part, and the gin text."""
        coder, siren = self.coder, base_siren(self.coder.learner.field)
        weights = metrics.shared_parameters(coder.theta["field"])
        stored = f"{len(self.groups)} of {coder.size} entries"
        if coder.mask is None:
            stored = f"a mask and up to {stored}"
        part = f"{coder.modality.part} of {coder.modality.size(coder.side)}"
        return "\n".join(
            [
                f"MSCN model {self.id[: 2 * ID_BYTES]}",
                f"network    {siren.depth} layers of {siren.width}, {weights:,} weights, {coder.channels} channels",
                f"code       {stored} per {part}, {coder.steps} inner steps, {coder.refined} more with momentum",
                f"decoding   {coder.flops:,} floating-point operations per {coder.modality.part}",
                f"quantiser  {self.quantizer.bits} bits; {len(self.tables)} tables of symbol frequencies",
                f"coding     {self.coding}",
                f"trained on {printable(self.trained_on) or 'unknown'}",
                f"held out   {printable(self.held_out) or 'unknown'}",
                "",
                *map(printable, self.gin.splitlines()),
            ]
        )

    @property
    def coding(self) -> str:
        """What of a transform, contexts and overlap there is, "plain" where there is none of them."""
        there = {"transform": self.transform, "contexts": self.contexts, "overlap": self.coder.overlap or None}
        return "+".join(name for name, part in there.items() if part is not None) or "plain"

    def levels(self, codes: Float[np.ndarray, "P *code"]) -> Int[np.ndarray, "P n"]:
        """What is coded of codes: levels of the stored entries, or of their coefficients."""
        return levels_of(codes.reshape(len(codes), -1)[:, self.coder.stored], self.transform, self.quantizer)

    def values(self, levels: Int[np.ndarray, "P n"]) -> Float[np.ndarray, "P n"]:
        """The stored entries of levels."""
        values = self.quantizer.dequantize(levels)
        return values if self.transform is None else self.transform.backward(values)

    def save(self, path: pathlib.Path) -> None:
        """Writes the file, atomically."""
        metadata = {"format": FORMAT, "architecture": _architecture(self), "id": self.id}
        metadata |= {"gin": self.gin, "trained_on": self.trained_on, "held_out": self.held_out}
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in _tensors(self).items()}
        with replaced(path, "wb") as out:
            out.write(safetensors.numpy.save(tensors, metadata))


def levels_of(
    values: Float[np.ndarray, "P n"], transform: Transform | None, quantizer: Quantizer
) -> Int[np.ndarray, "P n"]:
    """What is coded of the stored entries of codes: their levels, or those of their coefficients."""
    return quantizer.quantize(values if transform is None else transform.forward(values))


def load_model(path: pathlib.Path) -> Model:
    """Reads a file of `Model.save`.

    Raises:
      ValueError: in one line, for a file that is not a whole and unaltered model of this format.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118, not a dict
    except FileNotFoundError as error:
        raise ValueError(f"there is no model {path}") from error
    except (safetensors.SafetensorError, *_BROKEN) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {first_line(error)}") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is a safetensors file, but not of format {FORMAT!r}")
    try:
        model = _assemble(json.loads(metadata["architecture"]), tensors, metadata)
    except _BROKEN as error:
        what = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        raise ValueError(f"{path} is not a complete model: {what}{first_line(error)}") from error
    if model.id != metadata.get("id"):
        raise ValueError(f"{path} has been altered: its content has another id than it says")
    return model


_BROKEN = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What content that is not as it should be can raise."""

_PARTS = {
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
"""What a model may have besides: its class, and the type and shape of its arrays; k: one less than there are tables."""

_MAX_ACTIVATIONS = 1 << 28
"""Largest number of units times points of a part: a decoder holds a few such layers of float32 at a time."""

_LEARNER = {"inner_steps": int, "meta_sgd": bool, "adapt_gates": bool}
_NEWER_LEARNER = {"lr_per_step": bool, "train_steps": int}
"""Left out where they are at their default, so that older models keep their ids."""

_NEWER_CODER = {"refined": int, "overlap": bool}
"""Likewise."""

_UNSAID = ("kind", "image")
"""What a model's description leaves out: its id depends on it."""


def _architecture(model: Model) -> str:
    coder, learner = model.coder, model.coder.learner
    options = {name: getattr(learner, name) for name in _LEARNER}
    options |= {name: value for name in _NEWER_LEARNER if (value := getattr(learner, name))}
    if learner.curvature is not None:
        options["curvature"] = architecture.describe(learner.curvature)
    description = {
        "field": architecture.describe(learner.field),
        "learner": options,
        "budget": None if learner.controller is None else learner.controller.budget,
        "bits": model.quantizer.bits,
        "side": coder.side,
        "steps": coder.steps,
        "kind": coder.modality.name,
    }
    description |= {name: value for name in _NEWER_CODER if (value := getattr(coder, name))}
    return json.dumps({k: v for k, v in description.items() if (k, v) != _UNSAID}, sort_keys=True)


def digest(described: str, tensors: dict[str, np.ndarray]) -> str:
    """SHA-256, in hexadecimal, of a model's description and arrays."""
    digest = hashlib.sha256(described.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def _tensors(model: Model) -> dict[str, np.ndarray]:
    """Every array by its dotted name."""
    arrays = {f"theta.{name}": value for name, value in flatten_dict(model.coder.theta, sep=".").items()}
    arrays |= {"quantizer.low": model.quantizer.low, "quantizer.step": model.quantizer.step}
    arrays |= {"tables": model.tables, "groups": model.groups, "excess_table": model.excess_table}
    arrays |= {} if model.coder.mask is None else {"mask": model.coder.mask}
    arrays |= {} if model.mask_tables is None else {"mask_tables": model.mask_tables}
    for name in _PARTS:
        part = getattr(model, name)
        arrays |= {} if part is None else {f"{name}.{f.name}": getattr(part, f.name) for f in dataclasses.fields(part)}
    return {name: np.asarray(value) for name, value in arrays.items()}


def _assemble(told: dict, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Model:
    """The inverse of `_architecture` and `_tensors`, with every type, value and shape checked."""
    field, modality = architecture.build(told["field"]), MODALITIES[told.get(*_UNSAID)]
    side, steps, bits = (architecture.checked(name, told[name], int) for name in ("side", "steps", "bits"))
    controller = None
    if told["budget"] is not None:
        controller = BudgetController(budget=architecture.checked("budget", told["budget"], int))
    options = {name: architecture.checked(name, told["learner"][name], kind) for name, kind in _LEARNER.items()}
    newer = {name: kind for name, kind in _NEWER_LEARNER.items() if name in told["learner"]}
    options |= {name: architecture.checked(name, told["learner"][name], kind) for name, kind in newer.items()}
    if "curvature" in told["learner"]:
        curvature = architecture.build(told["learner"]["curvature"])
        options["curvature"] = architecture.checked("curvature", curvature, Curvature)
    learner = MetaLearner(field=field, controller=controller, **options)
    if isinstance(field, Camera) or isinstance(field, RadianceField) != bool(modality.extra_channels):
        raise ValueError(f"a {type(field).__name__} is no field of a {modality.noun}")
    points = math.prod(modality.shape(side)) * points_per_coordinate(field)
    if points * base_siren(field).width > _MAX_ACTIVATIONS:
        raise ValueError(f"{points} points of {base_siren(field).width} units are more than {_MAX_ACTIVATIONS}")
    theta = {name.removeprefix("theta."): each for name, each in tensors.items() if name.startswith("theta.")}
    wanted = jax.eval_shape(learner.init, jax.random.key(0), jax.ShapeDtypeStruct((1, modality.dims), np.float32))
    wanted = {name: leaf.shape for name, leaf in flatten_dict(wanted, sep=".").items()}
    if wrong := {name for name in wanted | theta if wanted.get(name) != getattr(theta.get(name), "shape", None)}:
        raise ValueError(f"{min(wrong)} is missing, too many, or of another shape")
    for name, values in theta.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{name} needs finite values of type float32")
    mask, mask_tables = tensors.get("mask"), tensors.get("mask_tables")
    if (mask is None) != learner.adapt_gates or (mask_tables is None) == learner.adapt_gates:
        raise ValueError("it needs either a shared mask or tables of the signals' masks")
    tables, groups, excess_table = tensors["tables"], tensors["groups"], tensors["excess_table"]
    # A range for each entry, or one for all of a transform's or where each signal has its own mask: files have no
    # arrays without an axis.
    transform, contexts = (_part(name, tensors, len(groups), len(tables)) for name in _PARTS)
    ranges = (tensors["quantizer.low"], tensors["quantizer.step"])
    one_range = mask is None or transform is not None
    low, step = (each.reshape(() if one_range else groups.shape) for each in ranges)
    counts = [each for each in (tables, mask_tables, excess_table) if each is not None]
    consistent = (
        (mask is None or (mask.dtype == bool and mask.shape == field.code_shape))
        and low.dtype == step.dtype == np.float32
        and groups.dtype == np.int32
        and all(each.dtype == np.uint32 and (each.sum(axis=-1) == entropy.TOTAL).all() for each in counts)
        and all(each.min() > 0 for each in counts)
        and tables.ndim == 2
        and tables.shape[1] == 1 << bits
        and excess_table.ndim == 1
        and len(excess_table) >= 2
    )
    if not consistent:
        raise ValueError("mask, quantiser and tables do not fit each other")
    newer = {name: architecture.checked(name, told[name], kind) for name, kind in _NEWER_CODER.items() if name in told}
    coder = Coder(learner, unflatten_dict(theta, sep="."), mask, side, steps, modality, **newer)
    beyond = len(excess_table) - 1 - (0 if contexts is None else 1 << bits)
    quantizer = Quantizer(bits, low, step, beyond)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = quantizer.dequantize(np.array([[-quantizer.beyond], [quantizer.levels + quantizer.beyond]]))
    consistent = (
        (mask_tables is None or mask_tables.shape == (coder.size, 2))
        and groups.shape == (np.count_nonzero(coder.stored),)
        and 0 <= groups.min() <= groups.max() < len(tables)
        and np.isfinite(ends).all()
        and (step > 0).all()
        and beyond >= 1
        and (contexts is None or (np.diff(contexts.edges) >= 0).all())
        and (mask is not None or (transform is None and contexts is None))
    )
    if not consistent:
        raise ValueError("mask, quantiser and tables do not fit each other")
    said = {name: metadata.get(name, "") for name in ("gin", "trained_on", "held_out")}
    return Model(coder, quantizer, tables, groups, mask_tables, excess_table, transform, contexts, **said)


def _part(name: str, tensors: dict[str, np.ndarray], entries: int, tables: int) -> Transform | Contexts | None:
    """The transform or the contexts, None where there are none.

    Raises:
      ValueError: for arrays of another type or shape, or values that are not finite.
    """
    kind, wanted = _PARTS[name]
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
