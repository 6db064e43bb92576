import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import records
from benchmarks.figures import fig4_reuse, speed, style, table1_modulations
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
    base = dict.fromkeys(records.COLUMNS, "") | {
        "experiment": "table1_modulations",
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
        records.append(folder / "quick" / "table1_modulations.csv", cell_rows)


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
        records.read(tmp_path / "quick" / "table1_modulations.csv"), table1_modulations.published()
    )
    files = [style.save(table1_modulations._figure(table, "quick"), tmp_path / name, "f") for name in "ab"]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_both_psnr_conventions_and_the_interval(tmp_path):
    mses = {0: (0.01, 0.001), 1: (0.02, 0.002), 2: (0.04, 0.001)}
    write(tmp_path, [rows(*[("mscn", s, 64, i, m) for i, m in enumerate(pair)]) for s, pair in mses.items()])
    table = table1_modulations.summary(
        records.read(tmp_path / "quick" / "table1_modulations.csv"), table1_modulations.published()
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
    assert {path.name for path in written} == {"speed.md", "speed.pdf", "speed.png"}
    assert "| 4.00 |" in written[0].read_text()
