"""Uniform quantisation of the entries of codes, fitted on training signals only."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

MAX_BITS = 12
"""Largest number of bits per symbol: each symbol needs a frequency of its own in the tables of `entropy.py`."""

_RANGES = np.arange(1.5, 8.01, 0.25)
"""Candidates for the half-width of the range, in standard deviations (COIN++: 3 up to 5 bits, 5 up to 10)."""

BEYOND = 255
"""Smallest number of levels at either end beyond the 2^bits symbols, for values outside of the fitted range."""

_LEAST = 1e-6
"""Standard deviation assumed of entries that never vary, which still need a step."""


def check_bits(bits: int) -> None:
    """Raises a ValueError for a number of bits per symbol that no quantiser takes."""
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"quantisation takes 1 to {MAX_BITS} bits, got {bits}")


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """2^bits evenly spaced levels from low to low + (2^bits - 1) step, and `beyond` more levels at either end.

    A symbol says which of the 2^bits levels it is; the first and the last symbol come with an excess, which says how
    many levels beyond. If such values were clipped instead, pictures unlike the training pictures would lose decibels,
    and those like them up to 0.14 dB at 4 bits (results/tuning/archive/codec_excess_tuning.csv).

    The mean of an entry is itself a level, the first of the upper half, so that entries that hardly vary cost hardly
    anything; that leaves one level less above the mean than below, which matters at 1 or 2 bits. The step of an entry
    grows with the square root of its standard deviation, half-way between one step for all entries, as in COIN++, and a
    step in proportion to the deviation. At equal rate all three lose about as much; at an equal number of bits one step
    for all loses most (results/tuning/archive/fig7_rate_distortion_quantiser_tuning.csv).

    >>> quantizer = Quantizer(bits=2, low=np.array(-1, np.float32), step=np.array(0.5, np.float32), beyond=3)
    >>> levels = quantizer.quantize(np.array([-1.1, 0.2, 1.4, 9.0]))
    >>> levels.tolist(), quantizer.dequantize(levels).tolist()
    ([0, 2, 5, 6], [-1.0, 0.0, 1.5, 2.0])
    >>> symbols, excess = quantizer.split(levels)
    >>> symbols.tolist(), excess.tolist()
    ([0, 2, 3, 3], [0, 0, 2, 3])

    Attributes:
      bits: number of bits per symbol, 1 to `MAX_BITS`.
      low: value of symbol 0 for each entry, or one for all entries.
      step: distance between two levels, likewise, > 0.
      beyond: number of further levels at either end; values that lie further outside are clipped.
    """

    bits: int
    low: Float[np.ndarray, "*n"]
    step: Float[np.ndarray, "*n"]
    beyond: int

    @property
    def levels(self) -> int:
        """Number of symbols, 2^bits."""
        return 1 << self.bits

    @classmethod
    def fit(cls, values: Float[np.ndarray, "S *n"], bits: int) -> "Quantizer":
        """Fits low and step to the mean and standard deviation of each entry.

        The range of the symbols is the one that would lose least if values were clipped to it.

        Args:
          values: entries of the codes of training signals, one row per signal; or a vector, which gets one range.
          bits: number of bits per symbol.

        Raises:
          ValueError: for a number of bits out of range, no values, or values that are not finite.
        """
        check_bits(bits)
        if not values.size or not np.isfinite(values).all():
            raise ValueError("quantisation needs finite values of at least one training signal")
        values, levels = values.astype(np.float64), 1 << bits
        beyond = max(BEYOND, levels - 1)  # At least the whole range once more.
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
        """The nearest levels, int32 from -beyond to 2^bits - 1 + beyond."""
        position = (values.astype(np.float32) - self.low) / self.step
        return np.clip(np.rint(position), -self.beyond, self.levels - 1 + self.beyond).astype(np.int32)

    def dequantize(self, levels: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The values of levels, float32; the same on all machines."""
        return self.low + levels.astype(np.float32) * self.step

    def split(self, levels: Int[np.ndarray, "..."]) -> tuple[Int[np.ndarray, "..."], Int[np.ndarray, "..."]]:
        """The symbols of levels, from 0 to 2^bits - 1, and the excess of each over its symbol, from 0 to `beyond`."""
        symbols = np.clip(levels, 0, self.levels - 1)
        return symbols, np.abs(levels - symbols)

    def is_end(self, symbols: Int[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
        """Which symbols are the first or the last one, and so come with an excess."""
        return (symbols == 0) | (symbols == self.levels - 1)

    def join(self, symbols: Int[np.ndarray, "..."], excess: Int[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """The levels of symbols and their excess: the inverse of `split`."""
        return np.where(symbols == 0, -excess, symbols + excess)
