"""Nothing changed: rows, models and streams of an earlier version come out as they were.

`tests/golden` holds what the commits before the benchmarks became lists of jobs gave: rows of two cells of each
benchmark at preset smoke, on the embedded stand-ins, without times; one cell of Table 1 and one of figure 2 at preset
quick; a small model of each modality with a stream and what it decodes to. Later ones have a transform and contexts,
latents, or masks of their own. Rounding differs between machines, so that rows are compared to the letter on a machine
like the one they come from and within a thousandth elsewhere. Bytes are those of the exact range coder.
`MSCN_GOLDEN_QUICK=1` compares those of preset quick too (two minutes).
"""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest

from benchmarks import engine, records
from mscn_flax import codec, model
from mscn_flax.modalities import MODALITIES
from mscn_flax.stream import parse

GOLDEN = pathlib.Path(__file__).parent / "golden"
DEVICE = "2 x cpu (Intel(R) Xeon(R) Processor)"
KEYS = ["dataset", "method", "budget", "bits", "signal_id", "inner_optimizer", "layer", "unit", "kind", "variant"]
KEYS += ["step", "model", "checksum"]

SMOKE = {
    "table1_modulations": ["table1.datasets=['photos']"],
    "fig2_unstructured": [
        "fig2.methods=['mscn_meta_sgd', 'meta_sparse_inr']",
        "fig2.rounds=[4]",
        "mscn_meta_sgd/Training.outer_steps=12",  # And 4 rounds of 2.
    ],
    "sparsity_forms": [],
    "fig7_rate_distortion": ["fig7.real_codecs=['jpeg', 'bpg']"],
    "climate_rate_distortion": [],
    "outer_loop": [],
    "codec_robustness": ["robustness.models=0"],
}
QUICK = {
    "table1_modulations": [
        "--gin_param=table1.datasets=['cifar10']",
        "--gin_param=table1.methods=['mscn']",
        "--gin_param=table1.budgets=[64]",
        "--gin_param=table1.recipes=['best']",
        "--gin_param=table1.equal={}",
    ],
    "fig2_unstructured": [
        "--gin_param=fig2.datasets=['sdf2d']",
        "--gin_param=fig2.methods=['mscn_meta_sgd']",
        "--gin_param=fig2.rounds=[20]",
        "--gin_param=Training.outer_steps=280",
        "--gin_param=PruningRounds.round_steps=1",
    ],
}


def _compare(preset: str, benchmark: str, results: pathlib.Path) -> None:
    for path in sorted((GOLDEN / "rows" / preset).glob(f"{benchmark}*.csv")):
        expected, found = pd.read_csv(path), pd.read_csv(results / preset / path.name)
        if preset == "quick" and "signal_id" in found:
            found = found[found["signal_id"] < 100]
        if "method" in expected:
            found = found[found["method"].isin(expected["method"])]
        keys = [key for key in KEYS if key in expected]
        tables = [each[expected.columns].sort_values(keys).reset_index(drop=True) for each in (found, expected)]
        exactly = engine.device_name() == DEVICE
        # Whole numbers are read as such unless rows of other methods have fractions in that column.
        more = {} if exactly else {"rtol": 1e-3}
        pd.testing.assert_frame_equal(*tables, check_exact=exactly, check_dtype=False, **more)


@pytest.mark.parametrize("benchmark", SMOKE)
def test_rows_of_smoke_come_out_to_the_letter(benchmark, ran):
    _compare("smoke", benchmark, ran(benchmark, *SMOKE[benchmark]) / "results")


@pytest.mark.skipif("MSCN_GOLDEN_QUICK" not in os.environ, reason="takes two minutes: set MSCN_GOLDEN_QUICK=1")
@pytest.mark.parametrize("benchmark", QUICK)
def test_rows_of_quick_come_out_to_the_letter(benchmark, tmp_path, data_dir):
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--preset=quick", "--seeds=1", *QUICK[benchmark]]
    command += [f"--results_dir={tmp_path / 'results'}", f"--runs_dir={tmp_path / 'runs'}", f"--data_dir={data_dir}"]
    done = subprocess.run(
        command, cwd=records.REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=580
    )
    assert done.returncode == 0, done.stderr
    _compare("quick", benchmark, tmp_path / "results")


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.safetensors")))
def test_models_and_streams_come_out_to_the_bit(name):
    shared, stream = model.load_model(GOLDEN / f"{name}.safetensors"), (GOLDEN / f"{name}.mscn").read_bytes()
    with np.load(GOLDEN / f"{name}.npz") as stored:
        arrays = dict(stored)
    expected = arrays.pop("decoded")
    signal = arrays.get("signal")
    if signal is None:
        signal = {key.removeprefix("signal_"): array for key, array in arrays.items()}
    codes = codec.unpack(shared, parse(stream))
    # Reading integers is exact on every machine, so that coding what was read gives the same bytes.
    height, width = parse(stream).height, parse(stream).width
    assert codec.pack(shared, codes, height, width) == stream
    decoded = codec.decode(shared, stream)
    decoded = decoded["views"][:2] if isinstance(decoded, dict) else decoded
    if engine.device_name() == DEVICE:
        assert codec.encode(shared, signal) == stream
    atol = 1 if decoded.dtype == np.uint8 else 1e-4
    np.testing.assert_allclose(decoded.astype(np.float64), expected.astype(np.float64), atol=atol)


def test_the_golden_models_are_of_all_modalities():
    kinds = {model.load_model(path).coder.modality.name for path in GOLDEN.glob("*.safetensors")}
    assert kinds == set(MODALITIES)
    assert jax.devices()[0].platform == "cpu"
