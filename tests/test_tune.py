"""The search for recipe "best": every method has as many trials, a search that was stopped goes on as if it had not."""

import json
import types

import filelock
import gin
import numpy as np
import PIL.Image
import pytest

from benchmarks import cli, csv_files, engine, records, trials, tune
from benchmarks.job import TrainingJob
from benchmarks.run_folder import Result
from benchmarks.search import searches

NAME = "table1_modulations"
ASKED = ("cifar10", "photos")
"""The data set that is asked for, and the one that trials are judged on."""

GRID = ("table1.datasets=['cifar10']", "table1.standins={'cifar10': ['photos']}", "table1.budgets=[64]")


@pytest.fixture
def search(build, tmp_path, monkeypatch):
    """Function of (number of trials, trainings before the process is stopped) -> the rows that the search leaves.

    A training's PSNR follows from its configuration, without any training.
    """
    photos = tmp_path / "data" / "photos"
    photos.mkdir(parents=True)
    for name in ("train_0", "val_0"):
        PIL.Image.new("RGB", (64, 64)).save(photos / f"{name}.png")

    def run(
        count: int,
        stopped_after: int | None = None,
        of=lambda job: -abs(np.log(job.setup.optimizer.learning_rate)),
        name=NAME,
        grid=GRID,
        more=(),
    ):
        flags = [f"--trials={count}", *more]
        flags += [f"--{kind}_dir={tmp_path / kind}" for kind in ("results", "runs", "tuned")]
        build(name, *grid, preset="tuning", flags=flags, data_dir=tmp_path / "data")
        trained = []

        def compute(job):
            trained.append(job)
            if len(trained) == stopped_after:
                raise KeyboardInterrupt
            value = of(job)
            if value is None:
                raise FloatingPointError("loss inf")
            return Result({"": [{"psnr_db": f"{value + i + job.stop_step / 1e6}"} for i in range(3)]})

        monkeypatch.setattr(engine, "compute", compute)
        monkeypatch.setattr(cli, "choose_devices", lambda: None)
        if stopped_after:
            with pytest.raises(KeyboardInterrupt):
                tune.main(["", name])
        else:
            tune.main(["", name])
        path = trials.path(tmp_path / "results", name)
        return csv_files.read_rows(path, records.TRIAL_COLUMNS) if path.exists() else []

    return run


def without_times(rows):
    return [{name: text for name, text in row.items() if name not in ("wall_s", "trial")} for row in rows]


def test_every_method_has_as_many_trials_and_the_best_is_bound(search, tmp_path, build):
    preset = {job.method: job.setup for job in build(NAME, *GRID, preset="tuning") if job.recipe == "best"}
    rows = search(6)
    assert trials.counts(tmp_path / "results", NAME) == {name: {"functa": 6, "mscn": 6} for name in ASKED}
    assert {row["scope"] for row in rows} == {"best/cifar10/functa", "best/cifar10/mscn"}
    for method in ("functa", "mscn"):
        of_method = [row for row in rows if row["method"] == method]
        # The first is what the preset has.
        tried = float(json.loads(of_method[0]["bindings"])["OuterOptimizer.learning_rate"])
        assert tried == preset[method].optimizer.learning_rate
        whole = [row for row in of_method if row["state"] == "complete"]
        assert len(whole) >= 4
        best = json.loads(max(whole, key=lambda row: float(row["value"]))["bindings"])
        jobs = build(NAME, *GRID, preset="tuning", files=[tmp_path / "tuned" / f"{NAME}.gin"])
        (found,) = {j.setup.optimizer.learning_rate for j in jobs if (j.method, j.recipe) == (method, "best")}
        assert found == float(best["OuterOptimizer.learning_rate"])


def test_a_stopped_search_goes_on_to_the_same_trials(search, tmp_path):
    whole = search(5)
    for folder in ("results", "runs", "tuned"):
        (tmp_path / folder).rename(tmp_path / f"{folder}_before")
    search(5, stopped_after=7)
    assert without_times(search(5)) == without_times(whole)
    # More trials of the same search begin with these.
    more = search(6)
    assert [row for row in without_times(more) if row in without_times(whole)] == without_times(whole)
    assert trials.counts(tmp_path / "results", NAME) == {name: {"functa": 6, "mscn": 6} for name in ASKED}


def test_trials_that_a_search_does_not_have_are_not_replaced(search, tmp_path, capsys):
    before = search(2)
    # Another machine, which has the file alone.
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit):
        search(1)
    assert "has 4 trials that this search does not have" in capsys.readouterr().err
    assert csv_files.read_rows(trials.path(tmp_path / "results", NAME), records.TRIAL_COLUMNS) == before


def test_bindings_that_would_be_lost_are_not_replaced(search, tmp_path, capsys):
    tuned = tmp_path / "tuned" / f"{NAME}.gin"
    tuned.parent.mkdir()
    tuned.write_text("# Kept.\nbest/era5/mscn/OuterOptimizer.learning_rate = 0.002\n")
    before = tuned.read_text()
    with pytest.raises(SystemExit):
        search(1)
    assert "what was found for best/era5/mscn" in capsys.readouterr().err
    assert tuned.read_text() == before


def test_the_first_trial_is_the_preset_whatever_else_is_searched(search, build):
    grid = (*GRID, "table1.equal={'cifar10': ['network', 'parameters']}", "table1.methods=['mscn']")
    own = ["--gin_param=best/cifar10/mscn/MetaLearner.curvature=@FullCurvature()"]
    found = {row["scope"]: json.loads(row["bindings"]) for row in search(1, grid=grid, more=own)}
    jobs = {"/".join(job.scope[1:]): job for job in build(NAME, *grid, preset="tuning", flags=own)}
    assert set(found) == {"best/cifar10/mscn", "best/cifar10/mscn/parameters"}
    for scope, bindings in found.items():
        setup = jobs[scope].setup
        assert float(bindings["OuterOptimizer.learning_rate"]) == setup.optimizer.learning_rate
        assert bindings["MetaLearner.curvature"] == "@FullCurvature()"


def test_poor_trials_end_early_and_count(search, tmp_path):
    rows = search(12, of=lambda job: -abs(np.log(job.setup.optimizer.learning_rate / 1e-3)))
    assert trials.counts(tmp_path / "results", NAME) == {name: {"functa": 12, "mscn": 12} for name in ASKED}
    short = [row for row in rows if row["state"] == "pruned"]
    assert short
    assert max(int(row["outer_steps"]) for row in short) < min(
        int(row["outer_steps"]) for row in rows if row["state"] == "complete"
    )


def test_trials_that_diverge_are_pruned_and_have_no_value(search):
    rows = search(3, of=lambda job: None)
    assert {row["state"] for row in rows} == {"pruned"}
    assert {row["value"] for row in rows} == {"nan"}
    assert "best/" not in trials.best(rows)


def test_trials_of_figure_2_are_trained_until_their_fraction_is_reached(search):
    # Rounds of pruning come after the steps of the dense network, which are all that `Training.outer_steps` counts.
    rows = search(1, name="fig2_unstructured", grid=["fig2.datasets=['faces']", "fig2.seeds=[0]"])
    steps = {(row["scope"], int(row["outer_steps"])) for row in rows}
    methods = ("mscn_meta_sgd", "meta_sparse_inr", "dense_narrow")
    assert steps == {
        (f"best/faces/{method}{own}", 300 + k * 60) for method in methods for own, k in (("", 12), ("/k4", 4))
    }


def test_a_dry_run_says_what_would_be_tried_and_leaves_nothing(search, tmp_path, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(tune.dry_run, "show", shown.extend)
    assert search(3, of=None, more=["--dry_run"]) == []
    assert [job.method for job in shown] == ["functa", "mscn"]
    said = capsys.readouterr().out
    for method in ("functa", "mscn"):
        assert f"3 trials of photos-standin-{method}-64-best-s0, judged by psnr_db; space: {{'OuterOptimizer.l" in said
    assert not any((tmp_path / kind).exists() for kind in ("results", "runs", "tuned"))


def test_the_committed_bindings_are_those_of_the_committed_trials():
    found = sorted((cli.GIN / "tuned").glob("*.gin"))
    for path in found:
        rows = csv_files.read_rows(trials.path(records.REPOSITORY / "results", path.stem), records.TRIAL_COLUMNS)
        assert path.read_text() == trials.best(rows)


def test_a_preset_has_what_a_search_found_where_its_gin_says_so():
    assert trials.used_by("quick", "table1_modulations")
    assert not trials.used_by("medium", "table1_modulations")
    assert not trials.used_by("mine", "table1_modulations")


def test_a_space_without_a_budget_is_not_searched():
    job = types.SimpleNamespace(recipe="best", seed=0, scope=("mscn",), budget=64)
    gin.parse_config("Search.space = {'Siren.w0': ('uniform', 10.0, 30.0)}")
    assert not searches([job])
    gin.parse_config("mscn/Search.budget = 64")
    assert [found for found, _ in searches([job])] == [job]
    gin.clear_config()


def test_two_searches_at_once_do_not_share_trials(search, tmp_path, capsys):
    folder = tmp_path / "runs" / "tuning" / NAME
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / "search.lock"), pytest.raises(SystemExit):
        search(1)
    assert "another search is under way" in capsys.readouterr().err
    search(1)


def test_trials_on_other_signals_are_of_another_search(search, tmp_path, monkeypatch):
    first = {row["study"] for row in search(1)}
    monkeypatch.setattr(TrainingJob, "data", "other signals")
    trials.path(tmp_path / "results", NAME).unlink()
    assert not first & {row["study"] for row in search(1)}
