"""The linear floor: principal components against scikit-learn's, rows of Table 1, streams of figure 7."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from benchmarks import rates_networks, records
from mscn_flax import codec, data, linear
from mscn_flax.data import registry
from mscn_flax.modalities import IMAGES

COUNT = 40
"""Training signals."""


def smooth(rng, count, height, width):
    """Pictures with few principal components that matter."""
    space = np.random.default_rng(1).normal(size=(6, height, width))
    pictures = np.einsum("skc,khw->shwc", rng.normal(size=(count, 6, 3)), space)
    pictures += 0.3 * rng.normal(size=pictures.shape)
    return np.clip(127 + 25 * pictures, 0, 255).astype(np.uint8)


def _read(split, resolution, folder):
    rng = np.random.default_rng(0)
    train = smooth(rng, COUNT, resolution, resolution)
    # Test pictures are coded by patches, of which the last are not whole.
    pictures = train if split == "train" else smooth(rng, 3, resolution, resolution)
    if split != "train" and resolution == 8:
        pictures = np.concatenate([pictures, pictures[:, :, :4]], axis=2)
    return data.Arrays("waves", "standin", list(pictures))


@pytest.fixture
def waves(monkeypatch):
    for name, resolution in (("waves", 6), ("wide_waves", 8)):
        known = data.DataSet(_read, resolution=resolution, embedded=True)
        monkeypatch.setitem(data.DATA_SETS, name, known)
    yield
    registry.cached.cache_clear()


@pytest.mark.parametrize("shape", [(50, 12), (12, 50), (20, 20)])
def test_components_are_those_of_scikit_learn(shape):
    rng = np.random.default_rng(0)
    signals = (rng.normal(size=shape) * np.geomspace(1, 0.1, shape[1]) + 3).astype(np.float32)
    mean, components = linear.principal_components(signals, 5)
    theirs = PCA(5, svd_solver="full").fit(signals.astype(np.float64))
    np.testing.assert_allclose(mean, theirs.mean_, rtol=1e-5)
    np.testing.assert_allclose(components @ components.T, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(np.abs(components @ theirs.components_.T), np.eye(5), atol=1e-4)


def test_more_components_than_the_signals_have_are_refused():
    with pytest.raises(ValueError, match="4 signals have 1 to 3 principal components, not 4"):
        linear.principal_components(np.eye(4, 9, dtype=np.float32), 4)
    with pytest.raises(ValueError, match="1 to 3"):
        linear.principal_components(np.eye(4, 3, dtype=np.float32), 0)


def test_rows_of_table_1_are_those_of_scikit_learn(build, waves, capsys):
    asked = ["table1.datasets=['waves']", "table1.methods=['pca']", f"table1.budgets=[4, 7, {COUNT}]"]
    jobs = build("table1_modulations", *asked, flags=())
    assert [job.budget for job in jobs] == [4, 7]
    assert (
        f"left out: pca of waves at [{COUNT}], as {COUNT} training signals have {COUNT - 1}" in capsys.readouterr().out
    )
    train, test = (np.stack(list(data.load("waves", split, resolution=6))) / 255 for split in ("train", "test"))
    for job in jobs:
        rows = job.run().tables[""]
        theirs = PCA(job.budget, svd_solver="full").fit(train.reshape(COUNT, -1))
        flat = test.reshape(len(test), -1)
        errors = np.square(theirs.inverse_transform(theirs.transform(flat)) - flat).mean(axis=1)
        np.testing.assert_allclose([float(row["mse"]) for row in rows], errors, rtol=1e-4)
        for row in rows:
            assert set(row) == set(records.MODULATION_COLUMNS)
            assert (row["budget"], row["budget_unit"], row["outer_steps"]) == (job.budget, "coefficients", 0)
            assert row["shared_parameters"] == (job.budget + 1) * 6 * 6 * 3
            assert row["decode_flops"] == 2 * job.budget * 6 * 6 * 3


def test_scenes_have_no_linear_code(build):
    assert build("table1_modulations", "table1.datasets=['srn_cars']", "table1.methods=['pca']") == []


def test_streams_decode_to_the_values_that_were_measured(build, waves, monkeypatch):
    streams = []

    def pack(model, codes, *size):
        packed = real(model, codes, *size)
        streams.append((model, packed[0]))
        return packed

    real = codec.pack_with_estimate
    monkeypatch.setattr(rates_networks.codec, "pack_with_estimate", pack)
    asked = ["fig7.datasets=['wide_waves']", "fig7.methods=['klt']", "fig7.budgets={'wide_waves': [6]}"]
    (job,) = build("fig7_rate_distortion", *asked, "fig7.real_codecs=[]", "Coding.bits=(4, 5, 6)", flags=())
    rows = pd.DataFrame(job.run().tables[""])
    coded = rows[rows["bits"] != 32].to_dict("records")
    test = data.load("wide_waves", "test", resolution=8)
    assert len(coded) == len(streams) == 3 * len(test)
    for row, (model, stream) in zip(coded, streams, strict=True):
        signal = test[row["signal_id"]]
        decoded = codec.decode(model, stream)
        assert decoded.shape == signal.shape == (8, 12, 3)
        squared = np.square((decoded.astype(np.float64) - signal) / 255).mean()
        assert float(row["psnr8_db"]) == pytest.approx(-10 * np.log10(squared), abs=1e-3)
        assert row["bytes"] == len(stream)
        assert row["decode_flops"] == 2 * 2 * 6 * 8 * 8 * 3  # Of two patches.
    quality = rows.groupby("bits")["psnr_db"].apply(lambda each: each.astype(float).mean())
    assert quality[32] - 0.2 < quality[6] < quality[32] + 0.05
    assert quality[4] < quality[32]
    assert IMAGES.split(test[0], 8, 3).shape == (2, 8, 8, 3)


def test_signals_that_are_alike_have_no_components_of_rounding():
    signals = np.repeat(np.random.default_rng(0).normal(size=(10, 40)), 3, axis=0).astype(np.float32)
    mean, components = linear.principal_components(signals, 20)
    assert not components[9:].any()
    np.testing.assert_allclose(components[:9] @ components[:9].T, np.eye(9), atol=1e-5)
    np.testing.assert_allclose(mean + (signals - mean) @ components.T @ components, signals, atol=1e-5)
