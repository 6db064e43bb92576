"""Static entropy models held as integers, and a range coder over them: one stream a signal.

A table gives every symbol an integer frequency; the frequencies of a table sum to 2^16. The coder is constriction's, to
which they are exact binary fractions, so that no rounding can differ between the machine that encodes and the one that
decodes.
"""

from collections.abc import Sequence

import constriction
import numpy as np
from jaxtyping import Float, Int, UInt32

TOTAL = 1 << 16
"""What the frequencies of a table sum to."""

_WORD = 4
"""Bytes of the coder's words."""

_PRIOR = 10.0
"""Observations that the histogram of all positions counts for in that of a group."""

_OVERHEAD = 2 * _WORD
"""No stream of ours has more bytes than this above its estimate."""


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
        shared = histogram(rows, np.zeros_like(groups), alphabet) + 1 / alphabet
        return frequencies(histogram(rows, groups, alphabet) + _PRIOR * shared / shared.sum())

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
    """Columns of symbols as one stream, within a byte of the estimate; each column has a table of its own."""
    encoder = constriction.stream.queue.RangeEncoder()
    for column, table in zip(columns, tables, strict=True):
        encoder.encode(np.ascontiguousarray(column, np.int32), _model(table))
    data = encoder.get_compressed().astype(">u4").tobytes()

    def decodes(candidate):
        decoder = Decoder(candidate)
        try:
            return all(
                np.array_equal(decoder.read(len(column), table), column)
                for column, table in zip(columns, tables, strict=True)
            )
        except ValueError:
            return False

    # The coder ends on a word. Any number within its last interval will do, and the shortest has some 2 bytes less:
    # a prefix of the stream, or the next larger number of so many bytes.
    for length in range(max(len(data) - _OVERHEAD, 0), len(data)):
        number = int.from_bytes(data[:length], "big")
        for candidate in (number, number + 1):
            if candidate < 256**length or candidate == 0:
                short = candidate.to_bytes(length, "big")
                if decodes(short):
                    return short
    return data


class Decoder:
    """Reads what `encode` wrote, column by column."""

    def __init__(self, data: bytes):
        padded = data + bytes(-len(data) % _WORD)
        self._decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))
        self._bits_left = 8.0 * len(data)

    def read(self, count: int, table: UInt32[np.ndarray, " A"]) -> Int[np.ndarray, " s"]:
        """The next column, int32.

        Raises:
          ValueError: where the data cannot come from `encode` with this table.
        """
        try:
            symbols = self._decoder.decode(_model(table), count)
        except AssertionError as error:
            raise ValueError("the payload does not fit the model's tables") from error
        self._bits_left += np.log2(table[symbols] / TOTAL).sum()
        if self._bits_left < -8 * _OVERHEAD:
            raise ValueError("the payload ends before its last symbol")
        return symbols

    def close(self) -> None:
        """To be called after the last column.

        Raises:
          ValueError: where there is more than the symbols needed.
        """
        if self._bits_left > 8 * _OVERHEAD:
            raise ValueError("the payload goes on behind its last symbol")


def _model(table: UInt32[np.ndarray, " A"]) -> constriction.stream.model.Categorical:
    return constriction.stream.model.Categorical(table / TOTAL, perfect=False)
