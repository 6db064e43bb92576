"""When sparse modulations beat latents: the grid, its levers, and what is drawn of its rows."""

import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks import csv_files, records
from benchmarks.figures import output, regimes
from benchmarks.figures.results import Results
from mscn_flax.siren import base_siren


def sizes(job) -> tuple:
    setup = job.setup
    return setup.training.outer_steps, base_siren(setup.learner.field).depth, job.budget, job.method, job.seed


def test_the_map_is_the_product_of_its_axes(build):
    axes = {"steps": [10, 20], "depths": [3, 5], "budgets": [4, 8], "methods": ["functa", "mscn"]}
    asked = [f"regimes.{name}={values}" for name, values in axes.items()]
    jobs = build("regimes", *asked, flags=["--dry_run", "--seeds=2"])
    base = [job for job in jobs if job.variant == "base"]
    # `base` of the levers is a cell of the map, and runs once.
    assert sorted(map(sizes, base)) == sorted(itertools.product(*axes.values(), (0, 1)))
    others = [(job.variant, *sizes(job)) for job in jobs if job.variant != "base"]
    assert others == [("curvature_full", 10, 3, 8, "mscn", seed) for seed in (0, 1)]
    assert len({job.id for job in jobs}) == len(jobs)
    assert {job.recipe for job in jobs} == {"best"}
    for job in jobs:
        controller = job.setup.learner.controller
        assert (controller.budget if controller else job.setup.learner.field.latent_dim) == job.budget


def differences(one, other, prefix="") -> set[str]:
    """Names of the fields in which two frozen objects differ, down to what is no such object."""
    found = set()
    for field in dataclasses.fields(one):
        name, ours, theirs = f"{prefix}{field.name}", getattr(one, field.name), getattr(other, field.name)
        if ours != theirs:
            inner = dataclasses.is_dataclass(ours) and type(ours) is type(theirs)
            found |= differences(ours, theirs, f"{name}.") if inner else {name}
    return found


def test_a_lever_changes_what_its_name_says_and_nothing_else(build):
    closing = {"learner.controller.close_by", "learner.controller.freeze_at"}
    expected = {
        "curvature_full": {"learner.curvature"},
        "curvature_layer": {"learner.curvature"},
        "curvature_low_rank": {"learner.curvature"},
        "coordinate_free": {"learner.field.coordinate_free"},
        "lr_per_step": {"learner.lr_per_step"},
        "train_steps_3": {"learner.train_steps"},
        "restart": {"optimizer.restart_at"},
        "adam": {"optimizer.optimizer"},
        "close_early": closing,
        "close_late": closing,
        "dense_start": closing | {"learner.controller.open_until"},
    }
    jobs = build("regimes", "regimes.steps=[]", preset="medium", flags=["--dry_run", "--seeds=1"])
    base = {(job.dataset, job.method): job.setup for job in jobs if job.variant == "base"}
    assert len(base) == 2 * 3
    levers = [job for job in jobs if job.variant != "base"]
    assert {job.variant for job in levers} == set(expected)
    for job in levers:
        assert differences(base[job.dataset, job.method], job.setup) == expected[job.variant], job.id
        # A second cycle begins where the mask replaces the gates.
        if job.variant == "restart" and job.method == "mscn":
            assert job.setup.optimizer.restart_at == job.setup.learner.controller.freeze_at


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("regimes.levers={'adamm': ['mscn']}", r"regimes\.levers has 'adamm', which changes nothing of 'base'"),
        ("Training.evaluate_on='test'", r"Training\.evaluate_on is 'test'"),
    ],
)
def test_what_would_mislead_is_refused(build, wrong, says):
    with pytest.raises(ValueError, match=says):
        build("regimes", wrong)


def row(variant, method, psnr, **more) -> dict:
    base = dict.fromkeys(records.REGIMES_COLUMNS, "") | {"dataset": "cid22", "source": "standin", "budget": 8}
    base |= {"depth": 3, "width": 16, "outer_steps": 10, "seed": 0, "signals": 4}
    return base | {"variant": variant, "method": method, "psnr_db": psnr} | more


def written(folder, rows) -> Results:
    (folder / "medium").mkdir()
    (folder / "medium" / "regimes.csv").write_text(csv_files.as_csv(rows, records.REGIMES_COLUMNS))
    return Results(folder / "medium")


def test_maps_have_the_lead_of_mscn_and_blanks_where_there_is_none(tmp_path):
    rows = [row("base", method, psnr, seed=seed) for method, seed, psnr in (("functa", 0, 20), ("functa", 1, 21))]
    rows += [row("base", "mscn", psnr, seed=seed) for seed, psnr in ((0, 20.5), (1, 21.1), (2, 40))]
    rows += [row("base", "functa", 22, depth=5, budget=16), row("base", "mscn", 21, depth=5, budget=16)]
    # One method alone, and a lever, are no cells.
    rows += [row("base", "mscn", 30, depth=9), row("adam", "functa", 10), row("adam", "mscn", 30)]
    drawn = regimes.draw(written(tmp_path, rows))
    lead = regimes.leads(pd.DataFrame(rows)).set_index(["budget", "depth"])["lead"]
    assert lead.to_dict() == pytest.approx({(8, 3): (0.5 + 0.1) / 2, (16, 5): -1.0})
    texts = [[text.get_text() for text in axis.texts] for axis in drawn["regimes"].axes[:2]]
    assert texts == [["+0.30"], ["-1.00"]]
    assert drawn["regimes"].axes[0].collections[0].norm(0) == 0.5
    suffixes = {path.suffix for path in output.write(drawn, tmp_path)}
    assert suffixes == {".csv", ".md", ".pdf", ".png"}


def test_levers_are_compared_with_the_base_and_with_functa(tmp_path):
    rows = [row("adam", method, psnr, seed=seed) for method, seed, psnr in (("mscn", 0, 21.0), ("mscn", 1, 20.4))]
    rows += [row("adam", "functa", 20.0, seed=seed) for seed in (0, 1)]
    rows += [row("coordinate_free", "mscn", 20.75, seed=0)]
    rows += [row("base", "functa", 20.5, seed=seed) for seed in (0, 1)]
    rows += [row("base", "mscn", psnr, seed=seed) for seed, psnr in ((0, 20.0), (1, 20.6))]
    rows += [row("base", "sparse_latents", 19.5, seed=0), row("base", "mscn", 50, depth=9)]
    text = regimes.draw(written(tmp_path, rows))["regimes.md"]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    cells = {(line[0], line[1]): line[3:] for line in lines[2:]}
    assert next(iter(cells)) == ("MSCN", "base")
    assert cells["MSCN", "adam"] == [
        "20.70 (20.40 to 21.00)",
        "+0.40 (-0.20 to +1.00)",
        "+0.70 (+0.40 to +1.00)",  # Functa with Adam.
    ]
    assert cells["MSCN", "coordinate free"] == ["20.75", "+0.75", "+0.25"]  # Functa without: the lever is MSCN's.
    assert cells["latents, sparse modulations", "base"][2] == "-1.00"
    # A cell of the map that has no lever is not in the table.
    assert "9 layers" not in text


def test_rows_of_a_run_are_of_the_validation_split_and_repeated_alone(ran, tmp_path):
    shutil.copytree(ran("regimes", "regimes.steps=[10]", "regimes.methods=['mscn']"), tmp_path, dirs_exist_ok=True)
    rows = csv_files.read(tmp_path / "results" / "smoke" / "regimes.csv", records.REGIMES_COLUMNS)
    assert rows["variant"].tolist() == ["base", "curvature_full"]
    assert rows["signals"].unique().tolist() == [16]
    assert (rows["train_s"] > 0).all()
    # The decoder does not read the curvature.
    assert rows["shared_parameters"].nunique() == 1
    lines = (tmp_path / "results" / "smoke" / "regimes.provenance.jsonl").read_text().splitlines()
    (tmp_path / "runs" / "smoke").rename(tmp_path / "runs" / "custom")
    for said in map(json.loads, lines):
        assert "Training.evaluate_on = 'validation'" in said["gin"]
        (tmp_path / "alone.gin").write_text(said["gin"])
        folders = [f"--{kind}_dir={tmp_path / kind}" for kind in ("results", "runs", "data")]
        alone = subprocess.run(
            [sys.executable, "-m", "benchmarks.regimes", f"--gin_file={tmp_path / 'alone.gin'}", *folders],
            cwd=records.REPOSITORY,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert alone.stdout.strip().splitlines()[-1:] == [f"{said['run_id']}: done before"], alone.stderr
