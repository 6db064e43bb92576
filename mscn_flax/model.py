"""A model that codes signals: what all streams share, in one safetensors file; loading it executes nothing."""

import dataclasses
import functools
import hashlib
import json
import os

import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict
from jaxtyping import Float, Int, UInt32

from mscn_flax import architecture, description, metrics
from mscn_flax.atomic import replaced
from mscn_flax.coder import Coder
from mscn_flax.contexts import Contexts
from mscn_flax.quantize import Quantizer
from mscn_flax.shipped import Shelf
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
        return digest(self.described, _tensors(self))

    @property
    def described(self) -> str:
        """Its architecture as text; see `description`."""
        return description.describe(self.coder, self.quantizer.bits)

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
                f"code       {stored} per {part}, {coder.steps} inner steps, {coder.refined} more with momentum"
                + (", of every second point" if coder.half else ""),
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

    def save(self, path: str | os.PathLike) -> None:
        """Writes the file, atomically.

        Raises:
          ValueError: for a network that a file cannot describe.
        """
        architecture.check_known(self.coder.learner.field)
        metadata = {"format": FORMAT, "architecture": self.described, "id": self.id}
        metadata |= {"gin": self.gin, "trained_on": self.trained_on, "held_out": self.held_out}
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in _tensors(self).items()}
        with replaced(path, "wb") as out:
            out.write(safetensors.numpy.save(tensors, metadata))


def levels_of(
    values: Float[np.ndarray, "P n"], transform: Transform | None, quantizer: Quantizer
) -> Int[np.ndarray, "P n"]:
    """What is coded of the stored entries of codes: their levels, or those of their coefficients."""
    return quantizer.quantize(values if transform is None else transform.forward(values))


def load_model(path: str | os.PathLike) -> Model:
    """Reads a file of `Model.save`, or a model of the package by its name, such as "photos_2".

    Raises:
      ValueError: in one line, for a file that is not a whole and unaltered model of this format.
    """
    path = Shelf().path(os.fspath(path))
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
        said = {name: metadata.get(name, "") for name in ("gin", "trained_on", "held_out")}
        model = Model(**description.assemble(json.loads(metadata["architecture"]), tensors), **said)
    except _BROKEN as error:
        what = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        raise ValueError(f"{path} is not a complete model: {what}{first_line(error)}") from error
    if model.id != metadata.get("id"):
        raise ValueError(f"{path} has been altered: its content has another id than it says")
    return model


_BROKEN = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What content that is not as it should be can raise."""


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
    for name in description.PARTS:
        part = getattr(model, name)
        arrays |= {} if part is None else {f"{name}.{f.name}": getattr(part, f.name) for f in dataclasses.fields(part)}
    return {name: np.asarray(value) for name, value in arrays.items()}
