"""The trials of searches, as `results/tuning/<benchmark>_trials.csv` has them. Imports no JAX."""

import json
import pathlib
from collections.abc import Sequence

from benchmarks import csv_files, records
from mscn_flax.configuration import ROOT


def path(results_dir: pathlib.Path, benchmark: str) -> pathlib.Path:
    """The file with the trials of a benchmark."""
    return results_dir / "tuning" / f"{benchmark}_trials.csv"


def best(rows: Sequence[dict[str, str]]) -> str:
    """Gin text with the bindings of the best whole trial of each data set and method."""
    lines = ["# Written by `python -m benchmarks tune`: the best trial of each method, judged on the validation split."]
    for scope in dict.fromkeys(row["scope"] for row in rows):
        of_scope = [row for row in rows if row["scope"] == scope]
        whole = [row for row in of_scope if row["state"] == "complete"]
        if not whole:
            continue
        chosen = max(whole, key=lambda row: float(row["value"]))
        value, first = float(chosen["value"]), whole[0]
        lines += ["", f"# {chosen['judged_by']} {value:.5g} in trial {chosen['trial']} of {len(of_scope)}"]
        if first["trial"] == "0":
            lines[-1] += f"; {float(first['value']):.5g} as it was before"
        lines += [f"{scope}/{name} = {value}" for name, value in json.loads(chosen["bindings"]).items()]
    return "\n".join([*lines, ""])


def scopes(text: str) -> list[str]:
    """The scopes that gin text of `best` binds something in."""
    lines = [line for line in text.splitlines() if " = " in line and not line.startswith("#")]
    return list(dict.fromkeys(line.partition(" = ")[0].rpartition("/")[0] for line in lines))


def counts(results_dir: pathlib.Path, benchmark: str) -> dict[str, dict[str, int]]:
    """Data set -> method, and what is equal besides the network -> number of trials; empty where there is no file.

    Trials count for the data set that they were judged on and for the one that was asked for: of ERA5, whose fields
    are few, the validation split is another data set.
    """
    file, found = path(results_dir, benchmark), {}
    for row in csv_files.read_rows(file, records.TRIAL_COLUMNS) if file.exists() else []:
        _, asked, *tuned = row["scope"].split("/")
        for dataset in {asked, row["dataset"]}:
            of_dataset = found.setdefault(dataset, {})
            of_dataset["/".join(tuned)] = of_dataset.get("/".join(tuned), 0) + 1
    return found


def per_method(folder: pathlib.Path, benchmark: str, dataset: str) -> list[int]:
    """The numbers of trials that methods have had, each number once.

    Empty where the preset, whose results are in `folder`, has nothing of a search on this data set.
    """
    if not used_by(folder.name, benchmark):
        return []
    return sorted(set(counts(folder.parent, benchmark).get(dataset, {}).values()))


def used_by(preset: str, benchmark: str) -> bool:
    """Whether a preset has what the search has found: its gin file includes that of the search."""
    file = ROOT / "gin" / preset / f"{benchmark}.gin"
    return file.is_file() and f"include 'gin/tuned/{benchmark}.gin'" in file.read_text()
