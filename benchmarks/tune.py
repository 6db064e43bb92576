"""Search for the recipe "best": Optuna gives every method of a comparison as many trials, each of as many steps.

`python -m benchmarks tune table1_modulations --trials 8` searches for each data set and method at preset tuning, which
is judged on the validation split. What a method may change is in `gin/tuning`, one space per method; what the preset
has is the first trial. Trials are kept in `runs/tuning/<benchmark>/trials.db`, so that a search that was stopped goes
on, and in `results/tuning/<benchmark>_trials.csv`; the best of each method goes to `gin/tuned/<benchmark>.gin`, which
preset quick includes.
"""

import dataclasses
import json
import math
import pathlib
import sys
import time
import zlib

import filelock
import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks import cli, csv_files, dry_run, engine, evaluation, records, trials
from benchmarks.ids import digest_of
from benchmarks.job import TrainingJob
from benchmarks.search import Search, searches
from mscn_flax import configuration
from mscn_flax.atomic import replaced
from mscn_flax.text import first_line


class Study:
    """The search for one data set and method.

    Attributes:
      job: as the preset has it.
      search: what may change.
      first: values that the first trials have, those of the preset before all.
      study: Optuna's.
    """

    def __init__(self, job: TrainingJob, search: Search, preset: dict, storage: optuna.storages.BaseStorage):
        self.job, self.search = job, search
        some = {name: _texts(name, kind, option) for name, (kind, option, *_) in search.space.items()}
        # What decides the trials besides the values that the space has.
        decides = (self._with(some).decides, tuple(search.space.items()), search.stages, search.judged_by)
        same = digest_of((*decides, job.data))
        self.study = optuna.create_study(
            study_name=f"{job.cell}-{same}",
            storage=storage,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
            load_if_exists=True,
        )
        self.first = [
            preset | {name: repr(v) if search.space[name][0] == "choice" else v for name, v in changed.items()}
            for changed in ({}, *search.first)
        ]
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            # Its process was stopped: the same values again.
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.study.enqueue_trial(trial.params)

    @property
    def scope(self) -> str:
        """Gin scope of the bindings, which holds for every benchmark."""
        return "/".join(self.job.scope[1:])

    @property
    def done(self) -> int:
        """Number of trials that are over, those that ended early among them."""
        return len(self.study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))

    def run_one(self) -> None:
        """Runs one trial; what it tries depends on the trials before it alone."""
        # Small seeds that follow each other give nearly the same first number.
        seed = zlib.crc32(f"trial {self.done}".encode())
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=4)
        if self.done < len(self.first) and not self.study.get_trials(states=(TrialState.WAITING,)):
            self.study.enqueue_trial(self.first[self.done])
        trial, began = self.study.ask(), time.perf_counter()
        values = {name: _suggested(trial, name, spec) for name, spec in self.search.space.items()}
        job = self._with(values)
        facts = {
            "bindings": dict(pair for texts in values.values() for pair in texts),
            "run_id": job.id,
            "commit": engine.commit(),
        }
        state, value, signals = TrialState.COMPLETE, math.nan, 0
        for steps in (round(stage * job.stop_step) for stage in self.search.stages):
            try:
                rows = engine.compute(dataclasses.replace(job, stop=steps)).tables[""]
            except FloatingPointError as error:
                print(error, file=sys.stderr)
                state, value = TrialState.PRUNED, math.nan
                break
            value, signals = float(np.mean([float(row[self.search.judged_by]) for row in rows])), len(rows)
            trial.report(value, steps)
            if steps < job.stop_step and trial.should_prune():
                state = TrialState.PRUNED
                break
        facts |= {"outer_steps": steps, "signals": signals, "wall_s": round(time.perf_counter() - began, 1)}
        facts |= {"value": f"{value:.6g}", "device": engine.device_name()}
        for name, fact in facts.items():
            trial.set_user_attr(name, fact)
        self.study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
        print(f"{self.study.study_name}, trial {trial.number}: {value:.5g} ({state.name.lower()}), {facts['bindings']}")

    def rows(self) -> list[dict]:
        """One row per trial that is over."""
        return [self._row(trial) for trial in self.study.trials if trial.state.is_finished() and trial.user_attrs]

    def _row(self, trial: FrozenTrial) -> dict:
        facts = dict(trial.user_attrs)
        return (
            evaluation.common(self.job)
            | {
                "scope": self.scope,
                "budget": self.job.budget,
                "study": self.study.study_name,
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "judged_by": self.search.judged_by,
            }
            | facts
            | {"bindings": json.dumps(facts["bindings"])}
        )

    def _with(self, values: dict[str, list[tuple[str, str]]]) -> TrainingJob:
        """The job with values of the space, as `_texts` has them."""
        scope = "/".join(self.job.scope)
        bound = [f"{scope}/{name} = {text}" for texts in values.values() for name, text in texts]
        (job,) = (job for job in cli.jobs(self.job.benchmark, bound) if job.cell == self.job.cell)
        return job


def of_preset(job: TrainingJob, search: Search) -> dict:
    """What the job as it was last built has of the values of the space, as far as the space has them too."""
    found = {}
    for name, (kind, *options) in search.space.items():
        bound = [configuration.used(each.strip(), *job.scope) for each in name.split(",")]
        value = bound[0] if len(bound) == 1 else tuple(bound)
        # Gin writes a reference as its text.
        if kind in ("choice", "gin") and (value in options if kind == "choice" else repr(value) in options):
            found[name] = repr(value)
        elif kind in ("log", "uniform") and options[0] <= value <= options[1]:
            found[name] = value
    return found


def _suggested(trial: optuna.Trial, name: str, spec: tuple) -> list[tuple[str, str]]:
    """What a trial tries of one line of the space, as `_texts` has it."""
    kind, *options = spec
    if kind in ("log", "uniform"):
        # Three digits say enough, and stay what they are in a gin file.
        return _texts(name, kind, float(f"{trial.suggest_float(name, *options, log=kind == 'log'):.3g}"))
    by_text = {option if kind == "gin" else repr(option): option for option in options}
    return _texts(name, kind, by_text[trial.suggest_categorical(name, list(by_text))])


def _texts(name: str, kind: str, value: object) -> list[tuple[str, str]]:
    """(binding, its value as gin text) of one line of the space and one of its values."""
    if kind not in ("log", "uniform", "choice", "gin"):
        raise ValueError(f"Search.space has {kind!r} for {name}; valid: log, uniform, choice, gin")
    names = [each.strip() for each in name.split(",")]
    each = [value] if len(names) == 1 else list(value)
    return list(zip(names, each if kind == "gin" else map(repr, each), strict=True))


def main(argv: list[str]) -> None:
    """Searches for one benchmark."""
    try:
        (name,) = argv[1:]
        cli.choose_devices()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        found = searches(cli.jobs(name))
        if not found:
            raise ValueError(f"nothing of {name} is tuned; gin/tuning/{name}.gin binds Search.space and Search.budget")
        if cli.dry_run():
            dry_run.show([job for job, _ in found])
            for job, search in found:
                print(f"{cli.trials()} trials of {job.cell}, judged by {search.judged_by}; space: {dict(search.space)}")
            return
        folder = cli.runs_dir() / "tuning" / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = filelock.FileLock(folder / "search.lock").acquire(timeout=0)
        except filelock.Timeout as error:
            said = f"another search is under way in {folder}; wait for it, or give a --runs_dir of your own"
            raise ValueError(said) from error
        with held:
            _search(name, found, folder)
    except cli.MISTAKES as error:
        print(f"error: {first_line(error)}", file=sys.stderr)
        sys.exit(2)


def _search(name: str, found: list[tuple[TrainingJob, Search]], folder: pathlib.Path) -> None:
    """The trials of all searches, as far as there are none yet."""
    # All before the first study: to see what decides its trials, it binds values that hold for others too.
    presets = [of_preset(job, search) for job, search in found]
    if special := set("?%#{}") & set(str(folder)):
        raise ValueError(f"a URL cannot have {''.join(sorted(special))}, which {folder} has; give another --runs_dir")
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'trials.db'}")
    except Exception as error:  # SQLAlchemy's, of many kinds.
        raise ValueError(f"{folder / 'trials.db'} cannot be read: {first_line(error)}; delete it") from error
    studies = [Study(job, search, own, storage) for (job, search), own in zip(found, presets, strict=True)]
    _check_nothing_is_lost(name, studies)
    if any(study.done for study in studies):  # The file may have gone, or be older than the store.
        _store(name, [row for each in studies for row in each.rows()])
    for count in range(cli.trials()):
        # In turns: a search that is stopped leaves every method as many trials.
        for study in studies:
            if study.done <= count:
                study.run_one()
                _store(name, [row for each in studies for row in each.rows()])


def _check_nothing_is_lost(name: str, studies: list[Study]) -> None:
    """Keeps trials that the search would replace by fewer, by those of a stand-in, or by those of another space.

    Raises:
      ValueError: where the file has trials of these scopes that the searches' own store does not have, or the file of
        the best has scopes of which there would be no trials.
    """
    scopes = {study.scope for study in studies}
    known = {(row["study"], str(row["trial"])) for study in studies for row in study.rows()}
    rows = [row for row in _stored(name) if row["scope"] in scopes]
    if others := [row for row in rows if (row["study"], row["trial"]) not in known]:
        raise ValueError(
            f"{trials.path(cli.results_dir(), name)} has {len(others)} trials that this search does not have, of "
            f"{others[0]['study']} and the like; delete them, or give --results_dir and --tuned_dir of your own"
        )
    tuned = cli.tuned_dir() / f"{name}.gin"
    bound = trials.scopes(tuned.read_text()) if tuned.exists() else []
    if lost := [scope for scope in bound if scope not in scopes | {row["scope"] for row in _stored(name)}]:
        raise ValueError(
            f"{tuned} has what was found for {lost[0]}, of which {trials.path(cli.results_dir(), name)} has no trials; "
            "give a --tuned_dir of your own too"
        )


def _stored(name: str) -> list[dict]:
    """The trials that the file of a benchmark has."""
    path = trials.path(cli.results_dir(), name)
    return csv_files.read_rows(path, records.TRIAL_COLUMNS) if path.exists() else []


def _store(name: str, rows: list[dict]) -> None:
    """Writes the trials, beside those of other data sets and methods that the file has, and the best of them."""
    scopes = {row["scope"] for row in rows}
    others = [row for row in _stored(name) if row["scope"] not in scopes]
    with replaced(trials.path(cli.results_dir(), name)) as out:
        out.write(csv_files.as_csv(others + rows, records.TRIAL_COLUMNS))
    with replaced(cli.tuned_dir() / f"{name}.gin") as out:
        out.write(trials.best(_stored(name)))


if __name__ == "__main__":
    cli.start(main, *cli.TUNING)
