"""A model from a trained coder: quantiser, tables, transform and contexts, fitted to codes of training signals."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt32

from mscn_flax import entropy
from mscn_flax.coder import Coder
from mscn_flax.contexts import Contexts, class_tables, stacked
from mscn_flax.model import Model, levels_of
from mscn_flax.quantize import Quantizer
from mscn_flax.transform import Transform

_EXCESS_PRIOR = 0.9
"""Observations that an excess of k counts for beforehand, to the power k: other signals have larger ones."""


def fit_model(
    coder: Coder,
    codes: Float[np.ndarray, "S *code"],
    bits: int,
    *,
    transform: Transform | None = None,
    fields: Sequence[Float[np.ndarray, "R C *code"]] | None = None,
    gin: str = "",
    trained_on: str = "",
) -> Model:
    """A model with quantiser and tables fitted to the codes of training signals.

    Args:
      coder: coded them.
      codes: gated, of training signals (never of test signals).
      bits: of a symbol.
      transform: fitted to these codes; None to quantise the entries themselves.
      fields: codes of the parts of larger training signals, each on its lattice, to which contexts are fitted; none at
        all for contexts within a part alone, and None for no contexts.
      gin: see `Model`.
      trained_on: see `Model`.

    Raises:
      ValueError: for a transform or contexts where each signal has a mask of its own.
    """
    codes = codes.reshape(len(codes), -1)
    values, kept, opened, mask_tables = codes[:, coder.stored], None, None, None
    if coder.mask is None:
        if transform is not None or fields is not None:
            raise ValueError("where signals have masks of their own, there is no transform and there are no contexts")
        opened = values != 0
        counts = np.count_nonzero(opened, axis=0)
        mask_tables = entropy.frequencies(np.stack([len(codes) - counts, counts], axis=1) + 0.5)
        kept = values[opened]
    elif transform is not None:
        kept = transform.forward(values).ravel()  # One step for all coefficients.
    quantizer = Quantizer.fit(values if kept is None else kept, bits)
    levels, contexts = levels_of(values, transform, quantizer), None
    if fields is None:
        tables, groups = entropy.fit(quantizer.split(levels)[0], _groupings(coder, transform), quantizer.levels)
        excess_table = _excess_table(quantizer, levels, opened, quantizer.beyond)
    else:
        middle = quantizer.levels // 2
        lattices = [
            levels_of(field.reshape(-1, coder.size)[:, coder.stored], transform, quantizer).reshape(
                *field.shape[:2], -1
            )
            for field in fields
        ]
        lattices = [each - middle for each in lattices or levels[:, None, None]]
        contexts = Contexts.fit(lattices, middle)
        residuals = [each for alike in stacked(lattices) for each in contexts.walk(alike, middle)]
        tables = class_tables(contexts, residuals, quantizer.levels)
        groups = np.zeros(levels.shape[1], np.int32)
        levels = np.concatenate([residual.ravel() for residual, _ in residuals]) + middle
        # A prediction may be off by as many levels as there are symbols.
        excess_table = _excess_table(quantizer, levels, None, quantizer.beyond + quantizer.levels)
    return Model(
        coder, quantizer, tables, groups, mask_tables, excess_table, transform, contexts, gin=gin, trained_on=trained_on
    )


def lattices_of(coder: Coder, signals: Sequence) -> list[Float[np.ndarray, "R C *code"]]:
    """Codes of the parts of signals, each on its lattice: `fields` of `fit_model`."""
    modality, fields = coder.modality, []
    for signal in signals:
        codes = coder.adapt(coder.split(signal))
        lattice = modality.lattice(*modality.extent(signal), len(codes), coder.side)
        fields.append(codes.reshape(*lattice, *codes.shape[1:]))
    return fields


def _groupings(coder: Coder, transform: Transform | None) -> dict[str, Int[np.ndarray, " n"]]:
    """Candidates for which entries share a table."""
    entries = np.flatnonzero(coder.stored)
    found = {"all": np.zeros(len(entries), np.int32), "entry": np.arange(len(entries), dtype=np.int32)}
    if len(coder.learner.field.code_shape) == 2 and transform is None:
        layers = entries // coder.learner.field.code_shape[1]
        found["layer"] = np.unique(layers, return_inverse=True)[1].astype(np.int32)
    return found


def _excess_table(
    quantizer: Quantizer, levels: np.ndarray, opened: np.ndarray | None, most: int
) -> UInt32[np.ndarray, " E"]:
    symbols, excess = quantizer.split(levels)
    ends = quantizer.is_end(symbols) & (True if opened is None else opened)
    counts = np.bincount(excess[ends], minlength=most + 1)
    return entropy.frequencies((counts + _EXCESS_PRIOR ** np.arange(len(counts)))[None])[0]
