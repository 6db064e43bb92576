"""Static entropy models held as integers, and a range coder over them: one stream a signal.

A table gives every symbol an integer frequency; the frequencies of a table sum to 2^16. The coder is constriction's, in
which they are kept exactly, so that nothing is rounded that could differ between the machine that encodes and the one
that decodes.
"""

from collections.abc import Sequence

import constriction
import numpy as np
from jaxtyping import Float, Int, UInt32

TOTAL = 1 << 16
"""What the frequencies of a table sum to."""

_PRECISION = 1 << 24
"""What the coder's own frequencies sum to."""

_WORD = 4
"""Bytes of the coder's words; its state has two."""

_PRIOR = 10.0
"""Observations that the histogram of all positions counts for in that of a group."""


def frequencies(counts: Float[np.ndarray, "G A"]) -> UInt32[np.ndarray, "G A"]:
    """Tables in proportion to `counts`, each frequency at least 1, so that every symbol can be coded.

    Raises:
      ValueError: for negative counts, a row of zeros, or more symbols than the precision can tell apart.
    """
    groups, symbols = counts.shape
    if symbols >= TOTAL or (counts < 0).any() or (counts.sum(axis=1) <= 0).any():
        raise ValueError(f"need rows of at most {TOTAL - 1} counts >= 0, not all 0")
    share = counts / counts.sum(axis=1, keepdims=True) * (TOTAL - symbols)
    table = np.floor(share).astype(np.int64) + 1
    # What rounding down left over goes to the largest remainders.
    order = np.argsort(-(share - np.floor(share)), axis=1, kind="stable")
    for row, spare in zip(range(groups), TOTAL - table.sum(axis=1), strict=True):
        table[row, order[row, :spare]] += 1
    return table.astype(np.uint32)


def histogram(
    symbols: Int[np.ndarray, "S n"], groups: Int[np.ndarray, " n"], alphabet: int
) -> Float[np.ndarray, "G A"]:
    """How often each symbol occurs in each group of positions."""
    counts = np.zeros((groups.max() + 1, alphabet))
    np.add.at(counts, (np.broadcast_to(groups, symbols.shape), symbols), 1)
    return counts


def smoothed(counts: Float[np.ndarray, "G A"]) -> UInt32[np.ndarray, "G A"]:
    """Tables of groups of positions, in whose counts the shared histogram has the weight `_PRIOR`."""
    shared = counts.sum(axis=0) + 1 / counts.shape[1]
    return frequencies(counts + _PRIOR * shared / shared.sum())


def fit(
    symbols: Int[np.ndarray, "S n"], groupings: dict[str, Int[np.ndarray, " n"]], alphabet: int
) -> tuple[UInt32[np.ndarray, "G A"], Int[np.ndarray, " n"]]:
    """The tables of the grouping that codes held-out signals in the fewest bits.

    Four fifths of the signals are counted, the rest is held out; the grouping that wins is counted on all. Counts of a
    group are smoothed by the shared histogram, weighted by `_PRIOR`.

    Args:
      symbols: of training signals, a row each.
      groupings: name -> group of each position, from 0; positions of a group share a table.
      alphabet: A, symbols are 0..A-1.

    Returns:
      Tables, and the group of each position.

    Raises:
      ValueError: where there are fewer than 5 signals.
    """
    if len(symbols) < 5:
        raise ValueError(f"tables need at least 5 training signals, got {len(symbols)}")
    held_out = np.arange(len(symbols)) % 5 == 4

    def tables(rows, groups):
        return smoothed(histogram(rows, groups, alphabet))

    def held_out_bits(groups):
        return estimated_bits(symbols[held_out], tables(symbols[~held_out], groups), groups).sum()

    best = min(groupings.values(), key=held_out_bits)
    return tables(symbols, best), best


def estimated_bits(
    symbols: Int[np.ndarray, "S n"], tables: UInt32[np.ndarray, "G A"], groups: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " S"]:
    """Cross-entropy of each row under the tables: the rate that the paper and COIN++ report."""
    return -np.log2(tables[groups, symbols] / TOTAL).sum(axis=1)


def encode(columns: Sequence[Int[np.ndarray, "_"]], tables: Sequence[UInt32[np.ndarray, "_"]]) -> bytes:
    """Columns of symbols as one stream, each column with a table of its own.

    The coder rounds its interval down to a multiple of 2^24 before it divides it: at most 0.0057 and on average 0.00013
    bits per symbol. So a stream has about 1 byte more than its estimate, and 1 more for every 60,000 symbols.
    """
    encoder = constriction.stream.queue.RangeEncoder()
    for column, table in zip(columns, tables, strict=True):
        encoder.encode(np.ascontiguousarray(column, np.int32), _model(table))
    return _shortest(encoder)


def _shortest(encoder: constriction.stream.queue.RangeEncoder) -> bytes:
    """The fewest bytes, followed by zeros, that lie within the coder's last interval; of these the smallest number.

    They are no fewer than the words that the coder has shifted out, so that a stream has what its symbols cost even
    where these are all the first.
    """
    position, (lower, width) = encoder.pos()
    shifted, size = _WORD * position, _WORD * (position + 2)
    # The coder closes with some number of its last interval [low, low + width), of which it knows the last two words.
    closed = int.from_bytes(encoder.get_compressed().astype(">u4").tobytes().ljust(size, b"\0"), "big")
    low = closed - ((closed - lower) & (2 ** (8 * 2 * _WORD) - 1))
    candidates = ((length, 8 * (size - length)) for length in range(shifted, size + 1))
    return next(
        number.to_bytes(length, "big")
        for length, zeros in candidates
        if (number := -(-low >> zeros)) << zeros < low + width
    )


class Decoder:
    """Reads what `encode` wrote, column by column, and encodes it again to see that it is that.

    Of the first bytes alone (`whole` False) it reads those symbols that no byte behind them could change: the range
    coder looks two words ahead.
    """

    def __init__(self, data: bytes, whole: bool = True):
        padded = data + bytes(-len(data) % _WORD)
        self._decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))
        self._encoder = constriction.stream.queue.RangeEncoder()
        self._data = data
        self._ahead = 0 if whole else 2

    def read(self, count: int, table: UInt32[np.ndarray, " A"]) -> Int[np.ndarray, " s"]:
        """The next column, int32.

        Raises:
          ValueError: where the data cannot come from `encode` with this table.
        """
        model = _model(table)
        try:
            symbols = self._decoder.decode(model, count)
        except AssertionError as error:
            raise ValueError("the payload does not fit the model's tables") from error
        self._encoder.encode(symbols, model)
        if _WORD * (self._encoder.pos()[0] + self._ahead) > len(self._data):
            raise ValueError("the payload ends before its last symbol")
        return symbols

    def close(self) -> None:
        """To be called after the last column.

        Raises:
          ValueError: where the data is not what `encode` makes of these columns.
        """
        if _shortest(self._encoder) != self._data:
            raise ValueError("the payload goes on behind its last symbol, or is not the shortest of its symbols")


def _model(table: UInt32[np.ndarray, " A"]) -> constriction.stream.model.Categorical:
    """The table's frequencies in the coder's precision, exactly.

    The coder gives each symbol a frequency of 1, and divides what then remains of `_PRECISION` in proportion: here
    among numbers that sum to it.
    """
    return constriction.stream.model.Categorical(table * float(_PRECISION // TOTAL) - 1, perfect=False)
