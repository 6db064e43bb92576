"""Uniform quantisation of code entries, fitted on training signals only."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

_RANGES = np.arange(1.5, 8.01, 0.25)
"""Candidates for the clip range, in standard deviations (COIN++: 3 up to 5 bits, 5 up to 10)."""


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """2^bits levels, evenly spaced between low and low + (2^bits - 1) step; values outside are clipped.

    Attributes:
      bits: 1..16.
      low: value of symbol 0, for each of G groups of entries.
      step: distance of two levels, > 0, likewise.
      groups: group of each of n entries.
    """

    bits: int
    low: Float[np.ndarray, " G"]
    step: Float[np.ndarray, " G"]
    groups: Int[np.ndarray, " n"]

    @property
    def levels(self) -> int:
        """Number of symbols."""
        return 1 << self.bits

    @classmethod
    def fit(cls, values: Float[np.ndarray, "S n"], bits: int, groups: Int[np.ndarray, " n"]) -> "Quantizer":
        """Mean and standard deviation of each group, and the clip range that loses least on `values`.

        Args:
          values: entries of training signals, a row each.
          bits: of a symbol.
          groups: entries of a group share mean, deviation and range (COIN++: all of them).

        Raises:
          ValueError: for bits outside 1..16, no values, or values that are not finite.
        """
        if not 1 <= bits <= 16:
            raise ValueError(f"quantisation takes 1 to 16 bits, got {bits}")
        if not values.size or not np.isfinite(values).all():
            raise ValueError("quantisation needs finite values of at least one training signal")
        low, step = [], []
        for group in range(groups.max() + 1):
            own = values[:, groups == group].astype(np.float64).ravel()
            # A group that never varies still needs a step.
            mean, deviation = own.mean(), max(own.std(), 1e-6)

            def candidate(reach, mean=mean, deviation=deviation):
                return mean - reach * deviation, 2 * reach * deviation / ((1 << bits) - 1)

            def loss(reach, own=own, candidate=candidate):
                start, width = candidate(reach)
                symbols = np.clip(np.rint((own - start) / width), 0, (1 << bits) - 1)
                return np.mean(np.square(start + symbols * width - own))

            start, width = candidate(min(_RANGES, key=loss))
            low.append(start)
            step.append(width)
        return cls(bits, np.float32(low), np.float32(step), groups)

    def quantize(self, values: Float[np.ndarray, "S n"]) -> Int[np.ndarray, "S n"]:
        """Nearest symbols, int32 in 0..2^bits - 1."""
        position = (values.astype(np.float32) - self.low[self.groups]) / self.step[self.groups]
        return np.clip(np.rint(position), 0, self.levels - 1).astype(np.int32)

    def dequantize(self, symbols: Int[np.ndarray, "S n"]) -> Float[np.ndarray, "S n"]:
        """Their values, float32; the same on every machine."""
        return self.low[self.groups] + symbols.astype(np.float32) * self.step[self.groups]
