"""The benchmarks of what training costs, as a user runs them: a few steps, rows, tables."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks import estimate, records
from benchmarks.figures import cost_model, outer_loop, output
from benchmarks.figures.results import Results


def run(name, folder, *more, files=()):
    folders = [f"--results_dir={folder / 'results'}", f"--runs_dir={folder / 'runs'}"]
    files = [f"--gin_file={file}" for file in files] or ["--preset=smoke"]
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *files, *folders, *more, f"--data_dir={folder}"],
        cwd=records.REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_variants_are_judged_as_they_train_and_compared_with_the_base(ran, tmp_path):
    shutil.copytree(ran("outer_loop"), tmp_path, dirs_exist_ok=True)
    rows = pd.read_csv(tmp_path / "results" / "smoke" / "outer_loop.csv")
    for _, part in rows.groupby("variant"):
        assert part["step"].tolist() == [5, 10]
        assert part["train_s"].is_monotonic_increasing
    last = outer_loop.ends(rows).set_index("variant")
    assert last.loc["base", "gain"] == 0
    gain = last.loc["coarse_to_fine", "psnr_db"] - last.loc["base", "psnr_db"]
    assert last.loc["coarse_to_fine", "gain"] == pytest.approx(gain)
    drawn = outer_loop.draw(Results(tmp_path / "results" / "smoke"))
    written = output.write(drawn, tmp_path / "plots")
    assert {path.suffix for path in written} == {".md", ".pdf", ".png"}
    # Of two versions of the code, where there are rows of them: a line for each.
    both = pd.concat([rows.assign(version="before", train_s=2 * rows["train_s"]), rows.assign(version="after")])
    both.to_csv(tmp_path / "results" / "smoke" / "outer_loop_versions.csv", index=False)
    figure = outer_loop.draw(Results(tmp_path / "results" / "smoke"))["outer_loop_versions"]
    lines = {line.get_label(): line.get_xdata() for line in figure.axes[0].lines}
    for name in {label.rsplit(", ", 1)[0] for label in lines}:
        assert (lines[f"{name}, before"] == 2 * lines[f"{name}, after"]).all()
    again = run("outer_loop", tmp_path)
    assert again.stdout.count("done before") == 2
    # The gin file of a run is that run, alone.
    line = (tmp_path / "results" / "smoke" / "outer_loop.provenance.jsonl").read_text().splitlines()[-1]
    (tmp_path / "alone.gin").write_text(json.loads(line)["gin"])
    (tmp_path / "runs" / "smoke").rename(tmp_path / "runs" / "custom")
    alone = run("outer_loop", tmp_path, files=[tmp_path / "alone.gin"])
    assert alone.stdout.strip().splitlines()[-1] == f"{json.loads(line)['run_id']}: done before"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("outer_loop.variants=['base', 'muonn']", "'muonn', which changes nothing of 'base'"),
        ("outer_loop.judged_at=[0.5, 0.9]", "must rise to 1"),
    ],
)
def test_what_would_mislead_is_refused(wrong, says, tmp_path):
    done = run("outer_loop", tmp_path, f"--gin_param={wrong}")
    assert done.returncode == 2
    assert says in done.stderr.strip().splitlines()[-1]


def test_an_estimate_stands_beside_what_was_measured(tmp_path):
    done = run("cost_model", tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tmp_path / "results" / "smoke" / "cost_model.csv").to_dict("records")
    assert row["estimated_step_s"] > 0
    assert row["step_min_s"] <= row["step_s"] <= row["step_max_s"]
    # The estimate compiles without XLA's optimisations, as this run does.
    assert row["estimated_temp_bytes"] == pytest.approx(row["temp_bytes"], rel=0.25)
    drawn = cost_model.draw(Results(tmp_path / "results" / "smoke"))
    assert "layers of 16" in drawn["cost_model.md"]


def test_what_is_timed_of_a_large_step_is_a_share_of_it():
    assert estimate._timed(1000, estimate._TIMED_FLOPS / 2) == 1000
    assert estimate._timed(1000, 4 * estimate._TIMED_FLOPS) == 250
    assert estimate._timed(1000, 1e30) == 1
