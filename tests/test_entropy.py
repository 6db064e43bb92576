import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mscn_flax import entropy


def _tables(rng, groups, alphabet):
    return entropy.frequencies(rng.integers(0, 1000, (groups, alphabet)).astype(float) ** 2 + 1e-3)


@settings(max_examples=60, deadline=None)
@example(637, 18, 27, 159)  # 1.004 bytes above the estimate.
@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 30), st.integers(2, 256))
def test_decoder_reads_what_was_written_within_two_bytes_of_the_estimate(seed, rows, columns, alphabet):
    rng = np.random.default_rng(seed)
    tables = _tables(rng, columns, alphabet)
    symbols = np.stack([rng.choice(alphabet, rows, p=table / entropy.TOTAL) for table in tables], axis=1)
    data = entropy.encode(list(symbols.T), list(tables))
    decoder = entropy.Decoder(data)
    decoded = np.stack([decoder.read(rows, table) for table in tables], axis=1)
    decoder.close()
    np.testing.assert_array_equal(decoded, symbols)
    estimate = entropy.estimated_bits(symbols, tables, np.arange(columns)).sum() / 8
    # Below it by luck alone: a byte with a chance of 1 in 256, two in 65,536.
    assert estimate - 3 <= len(data) <= estimate + 2


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
    decoder = entropy.Decoder(data + bytes(20))
    decoder.read(200, table)
    with pytest.raises(ValueError, match="goes on"):
        decoder.close()
    with pytest.raises(ValueError, match=r"ends before|does not fit"):
        entropy.Decoder(data[: len(data) // 2]).read(200, table)
