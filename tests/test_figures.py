import subprocess
import sys

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from benchmarks import records
from benchmarks import sparsity_forms as sparsity_forms_benchmark
from benchmarks.figures import (
    fig2_unstructured,
    fig3_layers,
    fig3_reconstructions,
    fig4_reuse,
    growth,
    sparsity_forms,
    speed,
    style,
    table1_modulations,
)
from benchmarks.growth import COLUMNS as growth_columns
from benchmarks.speed import COLUMNS

BLOCK_JAX = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "jaxlib", "flax", "tensorflow"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
sys.argv[0] = "plot"
import runpy
runpy.run_module("benchmarks.plot", run_name="__main__")
"""


def rows(*cells):
    base = dict.fromkeys(records.MODULATION_COLUMNS, "") | {
        "experiment": "table1_modulations",
        "trained_on": "cifar10 (subset)",
        "preset": "quick",
        "dataset": "cifar10",
        "source": "subset",
        "budget_unit": "modulations",
        "outer_steps": 10,
        "surviving_fraction": 0.25,
    }
    return [
        base
        | {
            "method": method,
            "seed": seed,
            "budget": budget,
            "signal_id": signal,
            "mse": mse,
            "psnr_db": -10 * np.log10(mse),
            "run_id": f"cifar10-subset-{method}-{budget}-s{seed}-00",
        }
        for method, seed, budget, signal, mse in cells
    ]


def write(folder, per_cell):
    for cell_rows in per_cell:
        records.append(folder / "quick" / "table1_modulations.csv", cell_rows, records.MODULATION_COLUMNS)


def test_figures_from_three_rows_without_jax(tmp_path):
    write(
        tmp_path, [[r] for r in rows(("functa", 0, 16, 0, 0.01), ("mscn", 0, 16, 0, 0.008), ("mscn", 0, 32, 0, 0.004))]
    )
    for budget, kept in ((16, [(0, 1), (0, 2)]), (32, [(0, 1), (1, 3), (0, 2)])):
        mask = [
            {
                "experiment": "table1_modulations",
                "preset": "quick",
                "dataset": "cifar10",
                "source": "subset",
                "method": "mscn",
                "seed": 0,
                "budget": budget,
                "layer": layer,
                "unit": unit,
                "run_id": f"cifar10-subset-mscn-{budget}-s0-00",
            }
            for layer, unit in kept
        ]
        records.append(tmp_path / "quick" / "table1_modulations_masks.csv", mask, records.MASK_COLUMNS)
    command = [sys.executable, "-c", BLOCK_JAX, "table1_modulations", f"--results_dir={tmp_path}"]
    done = subprocess.run(
        [*command, f"--plots_dir={tmp_path / 'plots'}"],
        cwd=records.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "plots" / "quick").iterdir()}
    names = [f"table1_modulations.{suffix}" for suffix in ("csv", "md", "tex", "pdf", "png")]
    assert written == {*names, "fig4_reuse_cifar10_subset.pdf", "fig4_reuse_cifar10_subset.png"}
    assert (tmp_path / "plots" / "quick" / "table1_modulations.png").read_bytes()[:4] == b"\x89PNG"
    assert "| MSCN | mean of PSNRs | 20.97 | 23.98 |" in (tmp_path / "plots/quick/table1_modulations.md").read_text()


def test_figures_are_the_same_every_time(tmp_path):
    write(tmp_path, [[r] for r in rows(("mscn", 0, 16, 0, 0.008))])
    table = table1_modulations.summary(
        records.read(tmp_path / "quick" / "table1_modulations.csv", records.MODULATION_COLUMNS),
        table1_modulations.published(),
    )
    files = [style.save(table1_modulations._figure(table, "quick"), tmp_path / name, "f") for name in "ab"]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_both_psnr_conventions_and_the_interval(tmp_path):
    mses = {0: (0.01, 0.001), 1: (0.02, 0.002), 2: (0.04, 0.001)}
    write(tmp_path, [rows(*[("mscn", s, 64, i, m) for i, m in enumerate(pair)]) for s, pair in mses.items()])
    table = table1_modulations.summary(
        records.read(tmp_path / "quick" / "table1_modulations.csv", records.MODULATION_COLUMNS),
        table1_modulations.published(),
    )
    (line,) = table.to_dict("records")
    psnrs = [np.mean(-10 * np.log10(pair)) for pair in mses.values()]
    of_mse = [-10 * np.log10(np.mean(pair)) for pair in mses.values()]
    assert line["psnr"] == pytest.approx(np.mean(psnrs), abs=1e-4)
    assert line["psnr_of_mse"] == pytest.approx(np.mean(of_mse), abs=1e-4)
    # Student's t for three seeds: 4.303.
    assert line["psnr_ci95"] == pytest.approx(4.3027 * np.std(psnrs, ddof=1) / 3**0.5, rel=1e-3)
    assert line["sparsity_pct"] == 75
    assert line["psnr"] >= line["psnr_of_mse"]


def test_the_papers_values_are_those_of_its_table():
    paper = table1_modulations.published().set_index(["dataset", "method", "budget"])["paper"]
    assert paper["shapenet10", "mscn", 64] == 99.43
    assert paper["celeb_a_hq", "functa", 64] == 21.6
    assert paper["celeb_a_hq", "mscn", 1024] == 30.9


def test_reuse_is_the_share_of_the_smaller_set():
    masks = pd.DataFrame(
        [(0, 2, 0, 1), (0, 2, 0, 2), (0, 4, 0, 1), (0, 4, 1, 1), (0, 4, 1, 2), (0, 4, 1, 3), (1, 4, 0, 2)],
        columns=["seed", "budget", "layer", "unit"],
    )
    (line,) = fig4_reuse.reuse(masks).to_dict("records")
    assert line == {"seed": 0, "small": 2, "large": 4, "reused": 0.5}


def test_speed_is_compared_with_the_plain_version_of_the_same_size(tmp_path):
    measured = {("plain", "plain"): (1.0, 500), ("mscn_flax", "plain"): (0.5, 100), ("mscn_flax", "fast"): (0.25, 50)}
    for (variant, sine), (seconds, memory) in measured.items():
        row = dict.fromkeys(COLUMNS, 1) | {
            "device": "2 x cpu (test)",
            "variant": variant,
            "sine": sine,
            "precision": "float32",
            "task": "meta_step",
            "width": 64,
            "code": "mscn",
            "step_s": seconds,
            "temp_bytes": memory,
            "run_id": f"speed-64-{variant}-{sine}-0",
        }
        records.append(tmp_path / "quick" / "speed.csv", [row], COLUMNS)
    table = speed.compared(pd.read_csv(tmp_path / "quick" / "speed.csv")).set_index(["variant", "sine"])
    assert table.loc[("mscn_flax", "fast"), "speedup"] == 4
    assert table.loc[("mscn_flax", "fast"), "memory_share"] == 0.1
    written = speed.draw(tmp_path, tmp_path / "plots", "quick")
    assert {path.name for path in written} == {
        *("speed.md", "speed.pdf", "speed.png"),
        *("speed_roofline.pdf", "speed_roofline.png"),
    }
    assert "| 4.00 |" in written[0].read_text()


def test_growth_is_an_exponent(tmp_path):
    assert growth.exponent(np.array([1, 2, 4]), np.array([3, 12, 48])) == pytest.approx(2)
    assert np.isnan(growth.exponent(np.array([1]), np.array([3])))
    grown = [("points", value, value / 100, value * 2**20) for value in (64, 256, 1024)]
    grown += [("width", value, value**2 / 100, value * 2**20) for value in (32, 64)]
    grown += [("processes", 1, 0.3, 0), ("processes", 2, 0.4, 0)]
    for factor, value, seconds, memory in grown:
        row = dict.fromkeys(growth_columns, 1) | {"factor": factor, "value": value, "step_s": seconds}
        row |= {"temp_bytes": memory, "device": "2 x cpu (test)", "run_id": f"growth-{factor}-{value}-s0-0"}
        records.append(tmp_path / "quick" / "growth.csv", [row], growth_columns)
    written = growth.draw(tmp_path, tmp_path / "plots", "quick")
    assert {path.name for path in written} == {"growth.md", "growth.pdf", "growth.png"}
    text = written[0].read_text()
    assert "| points a signal | 64, 256, 1024 | 0.64, 2.56, 10.2 | 1.00 | 1.00 |" in text
    assert "| width | 32, 64 | 10.2, 41 | 2.00 | 2.00 |" in text
    assert "an efficiency of 0.75" in text


def fig2_rows(method, budget, seed, psnrs, optimizer="meta_sgd"):
    base = dict.fromkeys(records.COLUMNS, "") | {
        "experiment": "fig2_unstructured",
        "preset": "quick",
        "dataset": "celeb_a",
        "source": "real",
        "method": method,
        "seed": seed,
        "budget": budget,
        "budget_unit": "fraction",
        "surviving_fraction": budget,
        "kept_weights": 90,
        "kept_biases": 10,
        "inner_steps": 100 if optimizer == "adam" else 2,
        "inner_optimizer": optimizer,
        "outer_steps": 10,
    }
    run_id = f"celeb_a-real-{method}-{budget:g}-s{seed}-00"
    return [base | {"signal_id": i, "psnr_db": psnr, "run_id": run_id} for i, psnr in enumerate(psnrs)]


def test_figure_2_averages_over_signals_then_seeds(tmp_path):
    csv = tmp_path / "quick" / "fig2_unstructured.csv"
    for seed, psnrs in enumerate([(20, 22), (24, 26)]):
        adam = fig2_rows("mscn_meta_sgd", 0.4096, seed, psnrs, "adam")
        records.append(csv, fig2_rows("mscn_meta_sgd", 0.4096, seed, psnrs) + adam)
    table = fig2_unstructured.summary(records.read(csv))
    assert list(table["regime"]) == ["adam", "inner loop"]
    assert set(table["psnr"]) == {23}
    np.testing.assert_allclose(table["psnr_std"], 8**0.5)
    assert set(table["kept_parameters"]) == {100}
    written = fig2_unstructured.draw(tmp_path, tmp_path / "plots", "quick")
    assert {path.suffix for path in written} == {".csv", ".pdf", ".png"}


def test_published_curves_are_those_of_the_same_data():
    curves = fig2_unstructured.published("celeb_a").set_index(["method", "surviving_fraction"])["psnr"]
    assert curves["meta_sparse_inr", 0.4096] == 40.1
    assert fig2_unstructured.published("faces").empty


def test_erdos_renyi_fills_small_layers_first():
    fan_in, fan_out = np.asarray([2, 64, 64, 64, 64]), np.asarray([64, 64, 64, 64, 3])
    for kept in (200, 1000, 6000):
        density = fig3_layers.erdos_renyi(fan_in, fan_out, kept)
        assert np.sum(density * fan_in * fan_out) == pytest.approx(kept)
        assert np.all((density > 0) & (density <= 1))
        np.testing.assert_allclose(density[1], density[2:4])
        assert density[0] >= density[1]


def test_figure_3_draws_layers_and_pictures(tmp_path):
    csv = tmp_path / "quick" / "fig2_unstructured.csv"
    records.append(csv, fig2_rows("mscn_meta_sgd", 0.4096, 0, (20, 22)))
    common = {key: fig2_rows("mscn_meta_sgd", 0.4096, 0, (20,))[0][key] for key in ("experiment", "preset", "dataset")}
    common |= {"source": "real", "method": "mscn_meta_sgd", "seed": 0, "budget": 0.4096}
    common |= {"run_id": "celeb_a-real-mscn_meta_sgd-0.4096-s0-00"}
    sizes = {"kernel": (8, 16, 12), "bias": (4, 4, 3)}
    rows = [
        common | {"layer": layer, "kind": kind, "kept": size // 2, "size": size}
        for kind, per_layer in sizes.items()
        for layer, size in enumerate(per_layer)
    ]
    records.append(csv.with_name("fig2_unstructured_layers.csv"), rows, records.LAYER_COLUMNS)
    folder = tmp_path / "quick" / "fig2_unstructured_images"
    folder.mkdir()
    for label in ("original", "mscn_meta_sgd_0.4096"):
        PIL.Image.fromarray(np.zeros((8, 24, 3), np.uint8)).save(folder / f"celeb_a_real_{label}.png")
    assert len(fig3_layers.draw(tmp_path, tmp_path / "plots", "quick")) == 2
    assert len(fig3_reconstructions.draw(tmp_path, tmp_path / "plots", "quick")) == 2


def test_the_table_of_forms_has_savings_and_speed(tmp_path):
    row = dict.fromkeys(sparsity_forms_benchmark.COLUMNS, 1) | {
        "dataset": "faces",
        "source": "standin",
        "method": "structured",
        "budget": 0.3,
        "flops_dense": 100,
        "flops_non_zero": 40,
        "flops_compacted": 50,
        "dense_s": 0.4,
        "compacted_s": 0.1,
        "run_id": "faces-standin-structured-0.3-s0-00",
    }
    csv = tmp_path / "quick" / "sparsity_forms_summary.csv"
    records.append(csv, [row], sparsity_forms_benchmark.COLUMNS)
    written = sparsity_forms.draw(tmp_path, tmp_path / "plots", "quick")
    assert "| 60% | 50% | 4.00 |" in written[0].read_text()
