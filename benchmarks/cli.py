"""Command line of every benchmark: preset, gin files and parameters, folders, seeds, where to run; one-line errors."""

import contextlib
import importlib
import importlib.util
import inspect
import os
import pathlib
import sys
import tempfile
import traceback
import typing
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from benchmarks import launch
from benchmarks.catalogue import CATALOGUE
from benchmarks.records import HOME
from benchmarks.search import searches
from mscn_flax import configuration, devices
from mscn_flax.progress import Progress
from mscn_flax.text import first_line

GIN = configuration.ROOT / "gin"

_PRESET = flags.DEFINE_string("preset", None, "Preset: reads gin/<preset>/<benchmark>.gin before all --gin_file.")
_GIN_FILE = flags.DEFINE_multi_string(
    "gin_file", [], "Gin file, or a folder with one per benchmark; repeat for overlays, the later one wins."
)
_GIN_PARAM = flags.DEFINE_multi_string("gin_param", [], "Gin binding, e.g. 'table1.budgets=[64]'; repeatable.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared local copies of data sets (default $MSCN_DATA_DIR).")
_RESULTS_DIR = flags.DEFINE_string("results_dir", str(HOME / "results"), "Where CSVs go.")
_RUNS_DIR = flags.DEFINE_string("runs_dir", str(HOME / "runs"), "Where run folders and checkpoints go.")
_SEEDS = flags.DEFINE_integer("seeds", None, "Random seeds 0 to N-1, in place of the preset's.", lower_bound=1)
_ENGINE = flags.DEFINE_enum("engine", "process", ["process", "ray"], "Where the jobs run.")
_ADDRESS = flags.DEFINE_string(
    "address", None, "Of the Ray cluster, host:port (default: $RAY_ADDRESS, one running here, or this machine alone)."
)
_TASK_CPUS = flags.DEFINE_integer("task_cpus", 2, "Cores of one job on Ray.", lower_bound=1)
_SHARD = flags.DEFINE_string("shard", None, "i/n: run the i-th of n parts of the jobs, i from 0; for schedulers.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "host:port of the first of several processes that train as one, or 'auto' (SLURM, MPI, TPU)."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "Number of these processes.", lower_bound=1)
_PROCESS = flags.DEFINE_integer("process", None, "Which of them this is, from 0.", lower_bound=0)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print configuration, shapes, memory and FLOPs; train nothing.")

_TRIALS = flags.DEFINE_integer("trials", 8, "tune: trials for each data set and method.", lower_bound=1)
_TUNED_DIR = flags.DEFINE_string("tuned_dir", str(GIN / "tuned"), "tune: where the bindings of the best trials go.")

SHARED = (_GIN_FILE, _GIN_PARAM, _DATA_DIR, _RESULTS_DIR, _RUNS_DIR, _SEEDS, _ENGINE, _ADDRESS, _TASK_CPUS, _SHARD)
SHARED += (_COORDINATOR, _PROCESSES, _PROCESS, _DRY_RUN)
"""Flags that `python -m benchmarks run` hands on to each benchmark."""

TUNING = (_TRIALS, _TUNED_DIR)
"""Flags of `python -m benchmarks tune`."""

MISTAKES = (ValueError, TypeError, RuntimeError, FloatingPointError, OSError, ImportError)
"""Errors of which one line says enough."""


def presets() -> list[str]:
    """The presets that there are: folders of `gin/` with a file per benchmark."""
    return sorted({path.parent.name for path in GIN.glob("*/*.gin")} - {"recipes", "shipped", "tuned", "wide"})


def has_preset(name: str, chosen: str) -> bool:
    """Whether a benchmark has a preset."""
    return chosen in presets() and (GIN / chosen / f"{name}.gin").is_file()


def preset() -> str:
    """Name of the preset, and of the folder of the results: `custom` where none is asked for."""
    return _PRESET.value or "custom"


def seeds(default: list[int]) -> list[int]:
    """The random seeds asked for on the command line, `default` otherwise.

    Raises:
      ValueError: for one that JAX's generators do not take.
    """
    asked = default if _SEEDS.value is None else list(range(_SEEDS.value))
    if wrong := [seed for seed in asked if not 0 <= seed < 2**32]:
        raise ValueError(f"a random seed is from 0 to {2**32 - 1}, not {wrong[0]}")
    return asked


def dry_run() -> bool:
    """Whether nothing is to be trained."""
    return _DRY_RUN.value


def on_ray() -> bool:
    """Whether jobs run on Ray instead of in this process, and are run at all."""
    return _ENGINE.value == "ray" and not dry_run()


def spread() -> bool:
    """Whether processes beside that of a benchmark, maybe on other machines, take part in it."""
    return on_ray() or bool(_COORDINATOR.value)


def address() -> str | None:
    """Of the Ray cluster; None for what Ray finds by itself."""
    return _ADDRESS.value


def task_cpus() -> int:
    """Cores of one job on Ray."""
    return _TASK_CPUS.value


def shard() -> tuple[int, int]:
    """Which part of the jobs this process runs, and of how many.

    Raises:
      ValueError: for anything but i/n with 0 <= i < n.
    """
    if _SHARD.value is None:
        return 0, 1
    try:
        index, count = map(int, _SHARD.value.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 0 <= index < count:
        raise ValueError(f"--shard must be i/n with 0 <= i < n, for example 0/4, got {_SHARD.value!r}")
    return index, count


def results_dir() -> pathlib.Path:
    """Folder of the presets' CSVs."""
    return pathlib.Path(_RESULTS_DIR.value).expanduser()


def runs_dir() -> pathlib.Path:
    """Folder of run folders and checkpoints, not in git."""
    return pathlib.Path(_RUNS_DIR.value).expanduser()


def trials() -> int:
    """Trials for each data set and method of a search."""
    return _TRIALS.value


def tuned_dir() -> pathlib.Path:
    """Folder of the gin files with the bindings of the best trials."""
    return pathlib.Path(_TUNED_DIR.value).expanduser()


def set_runs_dir(folder: str) -> None:
    """Sets `runs_dir` in a process that has no command line of its own: a worker."""
    flags.FLAGS.mark_as_parsed()
    flags.FLAGS[_RUNS_DIR.name].value = folder


def main(name: str) -> None:
    """Runs one benchmark as its command line says; says what is wrong in one line where something is."""

    def run(argv: list[str]) -> None:
        from benchmarks import engine  # Imports JAX, which `--help` does not need.

        try:
            if len(argv) > 1:
                raise ValueError(f"unexpected argument {argv[1]!r}; see --help")
            choose_devices()
            engine.run(name, jobs(name))
        except KeyboardInterrupt:
            kept = "" if dry_run() else "; what is done is kept, and the same command goes on from there"
            print(f"{name}: interrupted{kept}", file=sys.stderr)
            sys.exit(130)
        except MISTAKES as error:
            log = pathlib.Path(tempfile.gettempdir()) / "mscn_error.log"
            with contextlib.suppress(OSError):
                log.write_text(traceback.format_exc())
            print(f"error: {first_line(error)}  (traceback in {log})", file=sys.stderr)
            sys.exit(2)

    start(run)


def start(main: Callable[[list[str]], None], *more: flags.FlagHolder) -> None:
    """Parses the command line, whose `--help` shows `more` flags too, and calls `main` with what is left of it."""
    launch.end_with_parent()
    # --help shows the flags of the module that was started, unless others are registered for it.
    for holder in (_PRESET, *SHARED, *more):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[holder.name])

    def interruptible(argv: list[str]) -> None:
        try:
            main(argv)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)

    app.run(interruptible)


def jobs(name: str, more: Sequence[str] = ()) -> list:
    """The jobs of a benchmark, as flags and gin files say, and then `more` bindings.

    Raises:
      ValueError: for whatever is wrong with these; a binding that nothing reads is.
    """
    module = _module(name)
    configuration.parse([*preset_files(name, _PRESET.value), *_overlays(name)], [*_GIN_PARAM.value, *more])
    _check_kinds(module)
    with configuration.scope(module.SCOPE):
        made = module.jobs()
    searches(made)  # What only a search reads has been read then.
    configuration.check()
    return made


_KINDS = {list: ((list, tuple), "list, such as [1, 2]"), dict: (dict, 'dict, such as {"cifar10": [1, 2]}')}
"""Kind of a grid's parameter -> the types that it takes, and what to say of others."""


def _check_kinds(module) -> None:
    """Raises a ValueError where a grid has a number, text or the like where a list or a dict belongs."""
    for name, parameter in inspect.signature(module.jobs).parameters.items():
        kind = typing.get_origin(parameter.annotation)
        for scope in ((), (module.SCOPE,)) if kind in _KINDS else ():
            value = configuration.bound(f"{module.SCOPE}.{name}", *scope)
            types, said = _KINDS[kind]
            # Not what gin looks up later, as it does a macro.
            if isinstance(value, (str, int, float, list, tuple, dict)) and not isinstance(value, types):
                raise ValueError(f"{module.SCOPE}.{name} is {value!r}, and not a {said}")
            if isinstance(value, (list, tuple)):
                _check_elements(f"{module.SCOPE}.{name}", value, typing.get_args(parameter.annotation)[0])


_ELEMENTS = {int: ((int,), "whole numbers"), float: ((int, float), "numbers"), str: ((str,), "texts")}
"""Kind of a list's elements -> the types that it takes, and their name."""


def _check_elements(name: str, values: Sequence, kind: type) -> None:
    """Raises a ValueError where a list of numbers or texts has something else, or one of them twice."""
    types, said = _ELEMENTS.get(kind, ((), ""))
    plain = [value for value in values if types and isinstance(value, (str, bool, int, float))]
    if wrong := [value for value in plain if isinstance(value, bool) or not isinstance(value, types)]:
        raise ValueError(f"{name} has {wrong[0]!r}, and takes {said}")
    if twice := [value for index, value in enumerate(plain) if value in plain[:index]]:
        raise ValueError(f"{name} has {twice[0]!r} twice")


def preset_files(name: str, chosen: str | None) -> list[str]:
    """The gin file of a preset for a benchmark, which includes what it builds on; none where no preset is asked for.

    Raises:
      ValueError: for a preset that there is not, with those that there are.
    """
    if chosen is None:
        return []
    if not has_preset(name, chosen):
        having = [one for one in presets() if has_preset(name, one)]
        raise ValueError(f"{name} has no preset {chosen!r}; there are {', '.join(having)}")
    return [str(GIN / chosen / f"{name}.gin")]


def _overlays(name: str) -> list[str]:
    """The gin files asked for besides the preset's: of a folder the one for the benchmark, where there is one."""
    files = []
    for given in _GIN_FILE.value:
        folders = [folder for folder in (pathlib.Path(given), configuration.ROOT / given) if folder.is_dir()]
        if folders and not any((folders[0] / f"{one}.gin").is_file() for one in CATALOGUE):
            raise ValueError(f"{given} has no gin file of a benchmark, such as {name}.gin")
        files += [str(path) for path in [folders[0] / f"{name}.gin"] if path.is_file()] if folders else [given]
    return files


def choose_devices() -> None:
    """Devices and processes, as the flags say."""
    logging.set_verbosity(logging.WARNING)
    if _DATA_DIR.value:
        os.environ["MSCN_DATA_DIR"] = _DATA_DIR.value  # Also for processes that this one starts.
    if on_ray() and not importlib.util.find_spec("ray"):
        raise ValueError("--engine=ray needs Ray: pip install -r requirements-cluster.txt")
    # A process that has asked JAX for accelerators keeps them from others, here from the workers.
    devices.choose(accelerators=not on_ray())
    if _COORDINATOR.value:
        if _ENGINE.value != "process" or _SHARD.value:
            raise ValueError("--coordinator is for one run over several processes, --engine=ray and --shard for many")
        devices.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
        if not devices.is_first():
            Progress.quiet = True
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, until the end


def _module(name: str):
    """A benchmark's module; where it is the program that was started, under its own name for those who unpickle."""
    started, full = sys.modules["__main__"], f"benchmarks.{name}"
    if getattr(getattr(started, "__spec__", None), "name", None) != full:
        return importlib.import_module(full)
    for thing in vars(started).values():
        if getattr(thing, "__module__", None) == "__main__":
            thing.__module__ = full
    # Imported a second time, it would register its names twice.
    return sys.modules.setdefault(full, started)
