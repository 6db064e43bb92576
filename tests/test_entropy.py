import contextlib

import constriction
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mscn_flax import entropy


def _tables(rng, groups, alphabet):
    return entropy.frequencies(rng.integers(0, 1000, (groups, alphabet)).astype(float) ** 2 + 1e-3)


def _decoded(data, columns, tables):
    """Columns as the decoder reads them, to the end of the data."""
    decoder = entropy.Decoder(data)
    read = [decoder.read(len(column), table) for column, table in zip(columns, tables, strict=True)]
    decoder.close()
    return read


def _estimate(columns, tables):
    """Bytes."""
    return sum(-np.log2(table[column] / entropy.TOTAL).sum() for column, table in zip(columns, tables, strict=True)) / 8


LOST = -np.log2(1 - 2**-8) / 8
"""Bytes that the coder loses at most per symbol: an interval of at least 2^32 is rounded down to a multiple of 2^24."""


@settings(max_examples=100, deadline=None)
@example(637, 18, 27, 159)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3000), st.integers(1, 30), st.integers(2, 4096))
def test_columns_come_back_and_have_the_length_of_their_estimate(seed, rows, columns, alphabet):
    rng = np.random.default_rng(seed)
    tables = _tables(rng, columns, alphabet)
    symbols = [rng.choice(alphabet, rng.integers(rows + 1), p=table / entropy.TOTAL) for table in tables]
    # Some columns are as their tables never expected, some of one symbol.
    symbols = [rng.integers(alphabet, size=len(column)) if rng.random() < 0.2 else column for column in symbols]
    symbols = [np.full_like(column, rng.integers(alphabet)) if rng.random() < 0.2 else column for column in symbols]
    data = entropy.encode(symbols, list(tables))
    for read, column in zip(_decoded(data, symbols, tables), symbols, strict=True):
        np.testing.assert_array_equal(read, column)
    estimate, count = _estimate(symbols, tables), sum(map(len, symbols))
    # Below it by luck alone, by less than one of the coder's words.
    assert estimate - 4 < len(data) <= estimate + 1.01 + count * LOST


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4096), st.floats(0.1, 30))
def test_the_coder_keeps_frequencies_exactly(seed, alphabet, power):
    counts = np.random.default_rng(seed).random((1, alphabet)) ** power
    (table,) = entropy.frequencies(counts + 1e-300)
    model, whole = entropy._model(table), (2**64 - 1) >> 24
    for symbol in {0, alphabet - 1, int(table.argmin()), int(table.argmax())}:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(symbol, model)
        words, (_, width) = encoder.pos()
        assert width == (whole * int(table[symbol]) * 2**8) << (32 * words)


def _rare_and_common(count):
    """Frequencies of 1 and 65,281, and columns of rare, of common and of all symbols."""
    table = np.ones(256, np.uint32)
    table[0] = entropy.TOTAL - 255
    mixed = np.random.default_rng(0).choice(256, count, p=table / entropy.TOTAL)
    return [1 + np.arange(count) % 255, np.zeros(count, int), np.full(count, 255), mixed], [table] * 4


@pytest.mark.parametrize("count", [10_000, 2_500_000])
def test_long_columns_come_back(count):
    columns, tables = _rare_and_common(count)
    for chosen in ([0], [1], [2], [3], [0, 1, 2, 3]):
        some, theirs = [columns[index] for index in chosen], [tables[index] for index in chosen]
        data = entropy.encode(some, theirs)
        for read, column in zip(_decoded(data, some, theirs), some, strict=True):
            np.testing.assert_array_equal(read, column)
        # About 0.00013 bits per symbol above the estimate.
        assert -4 < len(data) - _estimate(some, theirs) <= 1 + 2e-4 / 8 * count * len(chosen)


def test_a_stream_is_the_shortest_that_decodes_to_its_symbols():
    rng = np.random.default_rng(0)
    for rows in range(1, 60):
        table = _tables(rng, 1, int(rng.integers(2, 40)))[0]
        column = rng.choice(len(table), rows, p=table / entropy.TOTAL)
        data = entropy.encode([column], [table])
        number = int.from_bytes(data[:-1], "big") if data else 0
        for shorter in {number, number + 1} if data else ():
            if len(data) > 1 and shorter < 256 ** (len(data) - 1):
                try:
                    read = entropy.Decoder(shorter.to_bytes(len(data) - 1, "big")).read(rows, table)
                except ValueError:
                    continue
                assert not np.array_equal(read, column)


def test_every_symbol_can_be_coded_even_if_it_was_never_seen():
    table = entropy.frequencies(np.array([[1.0, 0, 0, 0]]))
    assert table.sum() == entropy.TOTAL
    assert table.min() == 1
    data = entropy.encode([np.array([3, 2, 1, 0])], [table[0]])
    np.testing.assert_array_equal(entropy.Decoder(data).read(4, table[0]), [3, 2, 1, 0])


@pytest.mark.parametrize("counts", [[[0.0, 0.0]], [[-1.0, 2.0]]])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="counts"):
        entropy.frequencies(np.array(counts))


def test_a_table_an_entry_is_chosen_where_entries_differ_and_one_for_all_where_they_do_not():
    rng = np.random.default_rng(0)
    groupings = {"all": np.zeros(6, int), "entry": np.arange(6)}
    differing = np.stack([rng.binomial(15, (i + 1) / 8, 400) for i in range(6)], axis=1)
    tables, groups = entropy.fit(differing, groupings, 16)
    assert len(tables) == 6
    np.testing.assert_array_equal(groups, np.arange(6))
    # Few signals, entries alike: tables of their own would only fit noise.
    alike = rng.integers(0, 16, (40, 6))
    assert len(entropy.fit(alike, groupings, 16)[0]) == 1


def test_a_payload_that_is_too_long_or_too_short_is_noticed():
    rng = np.random.default_rng(0)
    table = _tables(rng, 1, 32)[0]
    symbols = rng.choice(32, 200, p=table / entropy.TOTAL)
    data = entropy.encode([symbols], [table])
    for rubbish in (b"\0", b"x", bytes(20), data):
        with pytest.raises(ValueError, match="goes on"):
            _decoded(data + rubbish, [symbols], [table])
    for length in range(len(data) // 2 + 1):
        with pytest.raises(ValueError, match=r"ends before|does not fit|goes on"):
            _decoded(data[:length], [symbols], [table])


def _bits_read(payload, table):
    """What the symbols cost that a decoder reads before it refuses to."""
    decoder, bits = entropy.Decoder(payload), 0.0
    with contextlib.suppress(ValueError):
        while bits < 1e6:
            bits += 8 * _estimate([decoder.read(100, table)], [table])
    return bits


@pytest.mark.parametrize("size", [0, 10, 300])
def test_no_more_is_read_than_the_payload_pays_for(size):
    rng = np.random.default_rng(0)
    table = np.array([entropy.TOTAL - 100, *np.ones(100)], np.uint32)
    for payload in (bytes(size), b"\xff" * size, rng.bytes(size)):
        assert _bits_read(payload, table) < 8 * (size + 4)
