"""Command line of every benchmark: gin files and parameters, folders, seeds; one-line errors."""

import contextlib
import difflib
import importlib
import importlib.metadata
import inspect
import os
import pathlib
import re
import sys
import tempfile
import traceback
from collections.abc import Callable

import gin
import jax
from absl import app, flags, logging

from benchmarks.catalogue import CATALOGUE
from benchmarks.records import REPOSITORY

_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "Gin file; repeat for overlays, the later one wins.")
_GIN_PARAM = flags.DEFINE_multi_string("gin_param", [], "Gin binding, e.g. 'table1.budgets=[64]'; repeatable.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared local copies of data sets (default $MSCN_DATA_DIR).")
_RESULTS_DIR = flags.DEFINE_string("results_dir", str(REPOSITORY / "results"), "Where CSVs go.")
_RUNS_DIR = flags.DEFINE_string("runs_dir", str(REPOSITORY / "runs"), "Where checkpoints and logs go.")
_SEEDS = flags.DEFINE_integer("seeds", None, "Seeds 0..N-1, in place of the gin file's.", lower_bound=1)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print configuration, shapes, memory and FLOPs; train nothing.")


def seeds(default: list[int]) -> list[int]:
    """The seeds asked for on the command line, `default` otherwise."""
    return default if _SEEDS.value is None else list(range(_SEEDS.value))


def dry_run() -> bool:
    """Whether nothing is to be trained."""
    return _DRY_RUN.value


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
            logging.set_verbosity(logging.WARNING)
            choose_devices()
            import_benchmarks()
            parse_gin(_GIN_FILE.value, _GIN_PARAM.value)
            benchmark()
        except (ValueError, TypeError, RuntimeError, FloatingPointError, OSError) as error:
            log = pathlib.Path(tempfile.gettempdir()) / "mscn_error.log"
            with contextlib.suppress(OSError):
                log.write_text(traceback.format_exc())
            # gin appends where a configurable was called; the first line is what went wrong.
            message = (str(error).strip() or type(error).__name__).splitlines()[0]
            print(f"error: {message}  (traceback in {log})", file=sys.stderr)
            sys.exit(2)

    # --help shows the flags of the module that was started, unless others are registered for it.
    for holder in (_GIN_FILE, _GIN_PARAM, _DATA_DIR, _RESULTS_DIR, _RUNS_DIR, _SEEDS, _DRY_RUN):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[holder.name])
    app.run(main)


def import_benchmarks() -> None:
    """Makes every benchmark known to gin: a preset has bindings for all of them."""
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None):
        # `python -m benchmarks.x` runs x as __main__; imported a second time it would register its names twice.
        sys.modules.setdefault(main.__spec__.name, main)
    for name in CATALOGUE:
        importlib.import_module(f"benchmarks.{name}")


def choose_devices() -> None:
    """Accelerators where there are any, otherwise one CPU device a core; before JAX is first asked for one.

    One device a core, because XLA runs the small operations of these networks faster side by side than each split over
    the cores.
    """
    # float32 products everywhere: an accelerator's own default rounds them to 10 bits or less, and w0 magnifies that.
    jax.config.update("jax_default_matmul_precision", "highest")
    if not _has_accelerator():
        jax.config.update("jax_platforms", "cpu")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        jax.config.update("jax_num_cpu_devices", cores)
        # Size of XLA's thread pool, by default one thread a core. A device that waits for another holds a thread, and
        # with none left for the other's products both wait for ever (seen with one device a core).
        os.environ.setdefault("NPROC", str(2 * cores))


def _has_accelerator() -> bool:
    """Whether a GPU or TPU plugin of JAX is installed; asking JAX itself would fix the number of CPU devices."""
    if jax.config.jax_platforms == "cpu":
        return False
    names = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    return any(re.match(r"jax-cuda\d+-plugin|libtpu|jax-rocm", name) for name in names)


def parse_gin(files: list[str], parameters: list[str]) -> None:
    """Parses gin files and bindings, and locks the configuration.

    Raises:
      ValueError: for a missing file, or an unknown name, with the valid names.
    """
    gin.add_config_file_search_path(str(REPOSITORY))
    try:
        gin.parse_config_files_and_bindings(files, parameters, skip_unknown=False, finalize_config=True)
    except OSError as error:
        raise ValueError(f"cannot read a gin file: {error}") from error
    except (ValueError, SyntaxError) as error:
        raise ValueError(_with_valid_names(str(error))) from error


def _with_valid_names(message: str) -> str:
    """gin's message, ending with the names that would have been right."""
    first = message.strip().splitlines()[0]
    if unknown := re.search(r"No configurable matching '([^']+)'", message):
        names = sorted({selector.split(".")[-1] for selector, _ in gin.config._REGISTRY.items()})
        return f"{first} {_choices(unknown.group(1), names)}"
    if unknown := re.search(r"onfigurable '([^']+)' doesn't have a parameter named '([^']+)'", message):
        target = gin.get_configurable(unknown.group(1))
        names = [name for name in inspect.signature(target).parameters if name not in ("self", "name", "parent")]
        return f"{first} {_choices(unknown.group(2), names)}"
    return first


def _choices(wrong: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wrong.split("/")[-1].split(".")[-1], names, n=1)
    return (f"Did you mean {close[0]!r}? " if close else "") + f"Valid: {', '.join(names)}."
