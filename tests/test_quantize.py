import dataclasses
import itertools

import numpy as np
import pytest

from mscn_flax.quantize import BEYOND, Quantizer


def _values(seed=0):
    return np.random.default_rng(seed).normal(0.3, 2.0, (300, 5)).astype(np.float32)


@pytest.mark.parametrize("bits", [1, 3, 5, 8, 12])
def test_error_is_at_most_half_a_step_within_the_range(bits):
    values = _values()
    quantizer = Quantizer.fit(values, bits)
    high = quantizer.low + quantizer.step * (quantizer.levels - 1)
    inside = (values >= quantizer.low) & (values <= high)
    error = np.abs(quantizer.dequantize(quantizer.quantize(values)) - values) / quantizer.step
    assert error[inside].max() <= 0.5 * 1.001
    far = quantizer.quantize(values * 1e6)
    assert quantizer.beyond == max(BEYOND, quantizer.levels - 1)
    assert (far.min(), far.max()) == (-quantizer.beyond, quantizer.levels - 1 + quantizer.beyond)


def test_values_outside_of_the_range_err_by_half_a_step_too():
    quantizer, values = Quantizer.fit(_values(), 4), 3 * _values(1)
    levels = quantizer.quantize(values)
    assert (levels < 0).any()
    assert (levels >= quantizer.levels).any()
    assert (np.abs(quantizer.dequantize(levels) - values) / quantizer.step).max() <= 0.5 * 1.001
    clipped = dataclasses.replace(quantizer, beyond=0).quantize(values)
    np.testing.assert_array_equal(clipped, quantizer.split(levels)[0])


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_levels_are_a_symbol_and_an_excess_that_only_ends_have(bits):
    quantizer = Quantizer.fit(_values(), bits)
    levels = quantizer.quantize(4 * _values(1))
    symbols, excess = quantizer.split(levels)
    assert excess.any()
    assert not excess[~quantizer.is_end(symbols)].any()
    np.testing.assert_array_equal(quantizer.join(symbols, excess), levels)


def test_more_bits_lose_less():
    values = _values()
    errors = []
    for bits in range(1, 9):
        quantizer = Quantizer.fit(values, bits)
        errors.append(np.mean(np.square(quantizer.dequantize(quantizer.quantize(values)) - values)))
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))


def test_clip_range_grows_with_the_bits():
    ranges = []
    for bits in (2, 4, 8):
        quantizer = Quantizer.fit(_values(), bits)
        ranges.append(quantizer.step * (quantizer.levels - 1))
    assert (np.diff(ranges, axis=0) > 0).all()


def test_a_step_grows_with_the_root_of_an_entrys_deviation_and_its_mean_is_a_level():
    deviations, means = np.array([0.01, 0.04, 1.0]), np.array([5.0, -0.3, 0.0])
    values = (np.random.default_rng(0).normal(size=(20_000, 3)) * deviations + means).astype(np.float32)
    quantizer = Quantizer.fit(values, 5)
    np.testing.assert_allclose(quantizer.step / quantizer.step[0], np.sqrt(deviations / 0.01), rtol=0.05)
    seen = quantizer.dequantize(quantizer.quantize(values.mean(axis=0)))
    np.testing.assert_allclose(seen, values.mean(axis=0), atol=1e-5)


def test_a_column_has_one_range():
    quantizer = Quantizer.fit(_values()[:, 0], 4)
    assert quantizer.low.shape == quantizer.step.shape == ()


def test_dequantised_values_are_quantised_alike():
    quantizer = Quantizer.fit(_values(), 6)
    symbols = np.random.default_rng(1).integers(0, 64, (50, 5)).astype(np.int32)
    np.testing.assert_array_equal(quantizer.quantize(quantizer.dequantize(symbols)), symbols)


@pytest.mark.parametrize(
    ("bits", "values"), [(0, _values()), (13, _values()), (4, _values()[:0]), (4, _values() * np.nan)]
)
def test_what_cannot_be_fitted_is_refused(bits, values):
    with pytest.raises(ValueError, match="quantisation"):
        Quantizer.fit(values, bits)


def test_an_entry_that_never_varies_is_kept():
    quantizer = Quantizer.fit(np.full((10, 5), 0.25, np.float32), 5)
    values = np.full((2, 5), 0.25, np.float32)
    np.testing.assert_allclose(quantizer.dequantize(quantizer.quantize(values)), values, atol=1e-5)
