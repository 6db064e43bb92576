"""Uniform quantisation of code entries, fitted on training signals only."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

MAX_BITS = 12
"""So that the tables of `entropy.py` can tell all symbols apart by a frequency of their own."""

_RANGES = np.arange(1.5, 8.01, 0.25)
"""Candidates for the clip range, in standard deviations (COIN++: 3 up to 5 bits, 5 up to 10)."""


def check_bits(bits: int) -> None:
    """Raises a ValueError for a number of bits that no quantiser takes."""
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"quantisation takes 1 to {MAX_BITS} bits, got {bits}")


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """2^bits levels, evenly spaced between low and low + (2^bits - 1) step; values outside are clipped.

    One range for all entries, as in COIN++: with one an entry the same rate gives less
    (results/quick/fig7_rate_distortion_quantiser_tuning.csv), because the entropy coder spends little on entries that
    vary little, which finer steps would make it spend.

    Attributes:
      bits: 1 to `MAX_BITS`.
      low: value of symbol 0.
      step: distance of two levels, > 0.
    """

    bits: int
    low: np.float32
    step: np.float32

    @property
    def levels(self) -> int:
        """Number of symbols."""
        return 1 << self.bits

    @classmethod
    def fit(cls, values: Float[np.ndarray, "..."], bits: int) -> "Quantizer":
        """Mean and standard deviation of all entries, and the clip range that loses least on them.

        Args:
          values: entries of training signals.
          bits: of a symbol.

        Raises:
          ValueError: for bits out of range, no values, or values that are not finite.
        """
        check_bits(bits)
        if not values.size or not np.isfinite(values).all():
            raise ValueError("quantisation needs finite values of at least one training signal")
        values = values.astype(np.float64)
        # Entries that never vary still need a step.
        mean, deviation = values.mean(), max(values.std(), 1e-6)

        def fitted(reach):
            return cls(
                bits, np.float32(mean - reach * deviation), np.float32(2 * reach * deviation / ((1 << bits) - 1))
            )

        def loss(reach):
            quantizer = fitted(reach)
            return np.mean(np.square(quantizer.dequantize(quantizer.quantize(values)) - values))

        return fitted(min(_RANGES, key=loss))

    def quantize(self, values: Float[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """Nearest symbols, int32 in 0..2^bits - 1."""
        position = (values.astype(np.float32) - self.low) / self.step
        return np.clip(np.rint(position), 0, self.levels - 1).astype(np.int32)

    def dequantize(self, symbols: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Their values, float32; the same on every machine."""
        return self.low + symbols.astype(np.float32) * self.step
