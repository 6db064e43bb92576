"""Command line of every benchmark: gin files and parameters, folders, seeds; one-line errors."""

import contextlib
import importlib
import importlib.util
import os
import pathlib
import sys
import tempfile
import traceback
from collections.abc import Callable

from absl import app, flags, logging

from benchmarks.catalogue import CATALOGUE
from benchmarks.records import REPOSITORY
from mscn_flax import configuration, devices
from mscn_flax.progress import Progress

_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "Gin file; repeat for overlays, the later one wins.")
_GIN_PARAM = flags.DEFINE_multi_string("gin_param", [], "Gin binding, e.g. 'table1.budgets=[64]'; repeatable.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared local copies of data sets (default $MSCN_DATA_DIR).")
_RESULTS_DIR = flags.DEFINE_string("results_dir", str(REPOSITORY / "results"), "Where CSVs go.")
_RUNS_DIR = flags.DEFINE_string("runs_dir", str(REPOSITORY / "runs"), "Where checkpoints and logs go.")
_SEEDS = flags.DEFINE_integer("seeds", None, "Seeds 0..N-1, in place of the gin file's.", lower_bound=1)
_ENGINE = flags.DEFINE_enum("engine", "process", ["process", "ray"], "Where the grid's cells run.")
_ADDRESS = flags.DEFINE_string(
    "address", None, "Of the Ray cluster, host:port (default: $RAY_ADDRESS, one running here, or this machine alone)."
)
_TASK_CPUS = flags.DEFINE_integer("task_cpus", 2, "Cores of a cell's run on Ray.", lower_bound=1)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "host:port of the first of several processes that train as one, or 'auto' (SLURM, MPI, TPU)."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "How many processes there are.", lower_bound=1)
_PROCESS = flags.DEFINE_integer("process", None, "Which of them this is, from 0.", lower_bound=0)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print configuration, shapes, memory and FLOPs; train nothing.")


MISTAKES = (ValueError, TypeError, RuntimeError, FloatingPointError, OSError)
"""Errors of which one line says enough."""


def seeds(default: list[int]) -> list[int]:
    """The seeds asked for on the command line, `default` otherwise."""
    return default if _SEEDS.value is None else list(range(_SEEDS.value))


def dry_run() -> bool:
    """Whether nothing is to be trained."""
    return _DRY_RUN.value


def on_ray() -> bool:
    """Whether cells run on Ray instead of in this process, and are run at all."""
    return _ENGINE.value == "ray" and not dry_run()


def address() -> str | None:
    """Of the Ray cluster; None for what Ray finds by itself."""
    return _ADDRESS.value


def task_cpus() -> int:
    """Cores of a cell's run on Ray."""
    return _TASK_CPUS.value


def data_dir() -> str | None:
    """Folder of prepared local copies, None where neither flag nor environment names one."""
    return _DATA_DIR.value or os.environ.get("MSCN_DATA_DIR")


def results_dir() -> pathlib.Path:
    """Folder of the presets' CSVs."""
    return pathlib.Path(_RESULTS_DIR.value)


def runs_dir() -> pathlib.Path:
    """Folder of checkpoints and logs, not in git."""
    return pathlib.Path(_RUNS_DIR.value)


def run(benchmark: Callable[[], None]) -> None:
    """Parses flags and gin, runs `benchmark`, and says what is wrong in one line where something is."""

    def main(argv: list[str]) -> None:
        try:
            if len(argv) > 1:
                raise ValueError(f"unexpected argument {argv[1]!r}; see --help")
            configure()
            benchmark()
        except MISTAKES as error:
            log = pathlib.Path(tempfile.gettempdir()) / "mscn_error.log"
            with contextlib.suppress(OSError):
                log.write_text(traceback.format_exc())
            print(f"error: {in_one_line(error)}  (traceback in {log})", file=sys.stderr)
            sys.exit(2)

    # --help shows the flags of the module that was started, unless others are registered for it.
    holders = (_GIN_FILE, _GIN_PARAM, _DATA_DIR, _RESULTS_DIR, _RUNS_DIR, _SEEDS, _DRY_RUN)
    for holder in (*holders, _ENGINE, _ADDRESS, _TASK_CPUS, _COORDINATOR, _PROCESSES, _PROCESS):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[holder.name])
    app.run(main)


def configure(worker: bool = False) -> None:
    """Devices and gin, as the flags say; in a `worker` of Ray those of the process that it works for."""
    logging.set_verbosity(logging.WARNING)
    if on_ray() and not importlib.util.find_spec("ray"):
        raise ValueError("--engine=ray needs Ray: pip install -r requirements-cluster.txt")
    # A process that has asked JAX for accelerators keeps them from others, here from the workers.
    devices.choose(accelerators=worker or not on_ray())
    if _COORDINATOR.value:
        if _ENGINE.value != "process":
            raise ValueError("--coordinator is for one run over several processes, --engine=ray for many runs: choose")
        devices.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
        if not devices.is_first():
            Progress.quiet = True
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, until the end
    import_benchmarks()
    configuration.parse(_GIN_FILE.value, _GIN_PARAM.value)


def in_one_line(error: Exception) -> str:
    """What went wrong: the message's first line, behind which gin says where a configurable was called."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def import_benchmarks() -> None:
    """Makes every benchmark known to gin: a preset has bindings for all of them."""
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None):
        # `python -m benchmarks.x` runs x as __main__; imported a second time it would register its names twice.
        sys.modules.setdefault(main.__spec__.name, main)
    for name in CATALOGUE:
        importlib.import_module(f"benchmarks.{name}")
