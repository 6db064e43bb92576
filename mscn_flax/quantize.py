"""Uniform quantisation of code entries, fitted on training signals only."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

MAX_BITS = 12
"""So that the tables of `entropy.py` can tell all symbols apart by a frequency of their own."""

_RANGES = np.arange(1.5, 8.01, 0.25)
"""Candidates for the clip range, in standard deviations (COIN++: 3 up to 5 bits, 5 up to 10)."""

BEYOND = 255
"""Fewest levels at either end behind the 2^bits of a symbol, for what lies outside of the training signals' range."""

_LEAST = 1e-6
"""Standard deviation that entries which never vary are given: they still need a step."""


def check_bits(bits: int) -> None:
    """Raises a ValueError for a number of bits that no quantiser takes."""
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"quantisation takes 1 to {MAX_BITS} bits, got {bits}")


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """2^bits levels, evenly spaced from low to low + (2^bits - 1) step, and `beyond` more at either end.

    A symbol says which of the 2^bits; with the first and the last one goes an excess, which says how far beyond. Were
    they clipped, pictures unlike the training ones would lose decibels, and those like them up to 0.14 dB at 4 bits
    (results/quick/codec_excess_tuning.csv).

    An entry's mean is a level of its own, the first of the upper half, so that entries that hardly vary cost hardly
    anything; the upper half has one level less above it, which 1 or 2 bits feel. An entry's step grows with the root of
    its deviation, half-way between one step for all, as in COIN++, and one in proportion to it. At equal rate the three
    lose about as much, at an equal number of bits one step for all loses most
    (results/quick/fig7_rate_distortion_quantiser_tuning.csv).

    Attributes:
      bits: 1 to `MAX_BITS`.
      low: value of symbol 0 of each entry, or of all.
      step: distance of two levels, likewise, > 0.
      beyond: levels outside of the symbols' at either end; what lies further out is clipped.
    """

    bits: int
    low: Float[np.ndarray, "*n"]
    step: Float[np.ndarray, "*n"]
    beyond: int

    @property
    def levels(self) -> int:
        """Number of symbols."""
        return 1 << self.bits

    @classmethod
    def fit(cls, values: Float[np.ndarray, "S *n"], bits: int) -> "Quantizer":
        """Mean and standard deviation of every entry, and the range that would lose least if values were clipped to it.

        Args:
          values: entries of training signals, a row each; or one column, which then has one range.
          bits: of a symbol.

        Raises:
          ValueError: for bits out of range, no values, or values that are not finite.
        """
        check_bits(bits)
        if not values.size or not np.isfinite(values).all():
            raise ValueError("quantisation needs finite values of at least one training signal")
        values, levels = values.astype(np.float64), 1 << bits
        beyond = max(BEYOND, levels - 1)  # No less than the whole range once more.
        mean = values.mean(axis=0)
        scale = np.sqrt(np.maximum(values.std(axis=0), _LEAST))
        deviation = max(((values - mean) / scale).std(), _LEAST**0.5)

        def fitted(reach):
            step = 2 * reach * deviation * scale / (levels - 1)
            return cls(bits, np.asarray(mean - levels // 2 * step, np.float32), np.asarray(step, np.float32), beyond)

        def loss(reach):
            quantizer = dataclasses.replace(fitted(reach), beyond=0)
            return np.mean(np.square((quantizer.dequantize(quantizer.quantize(values)) - values) / scale))

        return fitted(min(_RANGES, key=loss))

    def quantize(self, values: Float[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """Nearest levels, int32 in -beyond..2^bits - 1 + beyond."""
        position = (values.astype(np.float32) - self.low) / self.step
        return np.clip(np.rint(position), -self.beyond, self.levels - 1 + self.beyond).astype(np.int32)

    def dequantize(self, levels: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Their values, float32; the same on every machine."""
        return self.low + levels.astype(np.float32) * self.step

    def split(self, levels: Int[np.ndarray, "..."]) -> tuple[Int[np.ndarray, "..."], Int[np.ndarray, "..."]]:
        """The symbols of levels, 0..2^bits - 1, and the excess of each, 0..beyond: how far beyond its symbol."""
        symbols = np.clip(levels, 0, self.levels - 1)
        return symbols, np.abs(levels - symbols)

    def is_end(self, symbols: Int[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
        """Which are the first or the last, and so have an excess."""
        return (symbols == 0) | (symbols == self.levels - 1)

    def join(self, symbols: Int[np.ndarray, "..."], excess: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """The inverse of `split`."""
        return np.where(symbols == 0, -excess, symbols + excess)
