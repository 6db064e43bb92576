"""Rows as benchmarks write them, and what draws them; for tests of the figures."""

import subprocess
import sys

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.figures import output
from benchmarks.figures.results import Results


def plot(*arguments):
    command = [sys.executable, "-m", "benchmarks.plot", *map(str, arguments)]
    return subprocess.run(command, cwd=records.REPOSITORY, capture_output=True, text=True, check=False)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def draw(module, folder):
    return output.write(module.draw(Results(folder / "quick")), folder / "plots")


def rows(*cells):
    base = dict.fromkeys(records.MODULATION_COLUMNS, "") | {
        "experiment": "table1_modulations",
        "trained_on": "cifar10 (subset)",
        "preset": "quick",
        "dataset": "cifar10",
        "source": "subset",
        "budget_unit": "modulations",
        "equal": "network",
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


def write_table1(folder, *cells):
    write(folder / "quick" / "table1_modulations.csv", rows(*cells))


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


def fig7_rows(method, bits, budget, bpp, psnr):
    base = dict.fromkeys(records.RATE_COLUMNS, "") | {"dataset": "photos", "source": "standin", "seed": 0}
    base |= {"trained_on": "photos (standin)", "outer_steps": 10} if bits else {}
    base |= {
        "method": method,
        "coding": "plain" if bits else "",
        "bits": bits,
        "budget": budget,
        "bpp": bpp,
        "bpp_payload": bpp,
        "bpp_entropy": bpp,
    }
    return [base | {"signal_id": i, "pixels": 64, "bytes": 8 * bpp, "psnr8_db": psnr, "encode_s": 1} for i in range(2)]
