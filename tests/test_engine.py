"""A grid on a Ray cluster of two machines, both of them this one, that loses a machine on the way."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import pandas as pd
import pytest
from ray.cluster_utils import Cluster

from benchmarks import collect, csv_files, records

# Ray forks to start its own processes, which do not use this one's JAX.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")

TABLE1 = [
    "benchmarks.table1_modulations",
    "--preset=smoke",
    "--gin_param=table1.datasets=['photos']",
    "--gin_param=table1.methods=['mscn']",
    "--gin_param=table1.budgets=[8]",
    "--gin_param=table1.seeds=[0, 1, 2]",
    "--gin_param=table1/Siren.width=8",
    "--gin_param=table1/Training.outer_steps=24",
    "--gin_param=table1/Training.checkpoint_every=2",
    "--gin_param=table1/Training.test_signals=4",
]
FIG2 = [
    "benchmarks.fig2_unstructured",
    "--preset=smoke",
    "--gin_param=fig2.methods=['dense_narrow', 'meta_sparse_inr']",
    "--gin_param=fig2.rounds=[2, 3]",
    "--gin_param=fig2/Siren.width=8",
    "--gin_param=fig2/Training.outer_steps=6",
    "--gin_param=fig2/AdamFit.steps=2",
    "--gin_param=fig2/dense_narrow/OuterOptimizer.learning_rate=1e30",
]
MACHINE = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
LIMIT_S = 240
"""Of any one thing that is waited for; seconds are usual."""


def start(arguments: list[str], folder: pathlib.Path, *more: str) -> subprocess.Popen:
    """A benchmark with one device; what it says goes to the files `out` and `err` of its folder."""
    folder.mkdir()
    folders = [f"--results_dir={folder / 'results'}", f"--runs_dir={folder / 'runs'}"]
    xla_flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1"
    environment = {"XLA_FLAGS": xla_flags, "MSCN_DATA_DIR": str(folder / "no_data")}
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        command = [sys.executable, "-m", *arguments, *folders, *more]
        return subprocess.Popen(command, cwd=records.REPOSITORY, env=os.environ | environment, stdout=out, stderr=err)


def wait_for(condition, what: str):
    """The first true value of `condition()`."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)  # To look through all processes takes time that these need.
    raise AssertionError(f"waited {LIMIT_S} s for {what}")


def processes(folder: pathlib.Path) -> list[int]:
    """The processes that have the folder's name in their environment: a benchmark's own and its workers."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder / "no_data") in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def trainer(folder: pathlib.Path, step: int) -> tuple[pathlib.Path, int] | None:
    """A folder of checkpoints, the latest of at least `step` outer steps, and the process that is training into it."""
    for lock in folder.glob("runs/smoke/*/*/training.lock"):
        steps = [int(path.name) for path in (lock.parent / "checkpoints").glob("*") if path.name.isdigit()]
        for process in processes(folder) if max(steps, default=0) >= step else []:
            with contextlib.suppress(OSError):
                if any(path.resolve() == lock for path in pathlib.Path(f"/proc/{process}/fd").iterdir()):
                    return lock.parent, process
    return None


def parent(process: int) -> int:
    return int(pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])


def rows(folder: pathlib.Path, benchmark: str, columns=records.COLUMNS) -> pd.DataFrame:
    found = csv_files.read(folder / "results" / "smoke" / f"{benchmark}.csv", columns)
    return found.drop(columns=["encode_s", "decode_s"], errors="ignore").sort_values(list(columns[-1:] + columns[:1]))


def provenance(folder: pathlib.Path, benchmark: str) -> dict[str, dict]:
    lines = (folder / "results" / "smoke" / f"{benchmark}.provenance.jsonl").read_text().splitlines()
    found = {line["run_id"]: line for line in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that runs nothing, and two machines of one core each."""
    # The name is short because Unix sockets allow about 100 characters.
    own = tempfile.TemporaryDirectory(dir="/tmp", prefix="ray", ignore_cleanup_errors=True)
    with own as folder, pytest.MonkeyPatch.context() as patch:
        # Ray's test cluster also writes its address below Ray's usual folder, made only by other ways to start it.
        patch.setenv("RAY_TMPDIR", folder)
        (pathlib.Path(folder) / "ray").mkdir()
        notices = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
        head = MACHINE | {"num_cpus": 0, "temp_dir": folder, "_system_config": notices}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            cluster.add_node(**MACHINE)
        yield cluster
        cluster.shutdown()


def on(cluster: Cluster) -> list[str]:
    return ["--engine=ray", f"--address={cluster.address}", "--task_cpus=1"]


def test_a_lost_machine_costs_no_row(cluster, tmp_path):
    folder = tmp_path / "cluster"
    started = start(TABLE1, folder, *on(cluster))
    lost, worker = wait_for(lambda: trainer(folder, 4), "a checkpoint")
    assert started.poll() is None
    (machine,) = (
        node
        for node in cluster.worker_nodes
        if any(info.process.pid == parent(worker) for info in node.all_processes["raylet"])
    )
    os.kill(worker, signal.SIGKILL)  # It would end by itself, a moment after its machine's own process.
    cluster.remove_node(machine, allow_graceful=False)
    # The training's folder says nothing of the recipe, which others may share it with.
    cell = re.sub(r"-s(\d+)$", r"-published-s\1", collect.cell_of(lost.name))
    assert not list(lost.parent.glob(f"{cell}-*/run.json"))
    cluster.add_node(**MACHINE)
    assert started.wait(LIMIT_S) == 0, (folder / "err").read_text()

    alone = tmp_path / "alone"
    assert start(TABLE1, alone).wait(LIMIT_S) == 0, (alone / "err").read_text()
    name = "table1_modulations"
    found = rows(folder, name, records.MODULATION_COLUMNS)
    assert len(found) == 3 * 4
    assert not found.duplicated(["run_id", "signal_id"]).any()
    for suffix, columns in (("", records.MODULATION_COLUMNS), ("_masks", records.MASK_COLUMNS)):
        both = [rows(folder, name + suffix, columns) for folder in (folder, alone)]
        first, second = (each.sort_values(list(each.columns)).reset_index(drop=True) for each in both)
        pd.testing.assert_frame_equal(first, second)

    on_ray, here = provenance(folder, name), provenance(alone, name)
    assert {run: line["gin"] for run, line in on_ray.items()} == {run: line["gin"] for run, line in here.items()}
    (again,) = (line for run, line in on_ray.items() if collect.cell_of(run) == cell)
    assert again["resumed_at_step"] >= 4
    assert "table1_modulations on Ray  run 3/3" in (folder / "err").read_text()
    assert len((folder / "err").read_text().splitlines()) < 40
    wait_for(lambda: not processes(folder), "the end of all workers")


def test_a_run_that_fails_leaves_the_others_their_rows(cluster, tmp_path):
    folder = tmp_path / "cluster"
    assert start(FIG2, folder, *on(cluster)).wait(LIMIT_S) == 2
    *_, last = (folder / "err").read_text().splitlines()
    assert last.startswith("error: 2 of 4 runs failed")
    assert "--gin_file=" in last
    # Rounds of pruning go on from each other, in one worker.
    found = provenance(folder, "fig2_unstructured")
    assert [line["resumed_at_step"] for line in found.values()] == [0, 10]
    assert rows(folder, "fig2_unstructured")["run_id"].nunique() == 2
    wait_for(lambda: not processes(folder), "the end of all workers")


OWN = """
import numpy as np
from mscn_flax import data

def _read(split, resolution, folder):
    return data.Arrays("noise", "standin", list(np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)))

data.register("noise", data.DataSet(_read, resolution=8, embedded=True))
"""


def test_a_data_set_from_outside_reaches_the_workers(cluster, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.gin").write_text("import own\ninclude 'gin/smoke/table1_modulations.gin'\n")
    few = ["--gin_param=table1.datasets=['noise']", "--gin_param=table1.methods=['mscn']"]
    few += ["--gin_param=table1.budgets=[8]", "--gin_param=table1/Training.outer_steps=2"]
    folder = tmp_path / "cluster"
    started = start([TABLE1[0], f"--gin_file={tmp_path / 'own.gin'}", *few], folder, *on(cluster))
    assert started.wait(LIMIT_S) == 0, (folder / "err").read_text()
    found = csv_files.read(folder / "results" / "custom" / "table1_modulations.csv")
    assert set(found["dataset"]) == {"noise"}


def test_more_cores_than_a_machine_has_are_not_waited_for(cluster, tmp_path):
    folder = tmp_path / "cluster"
    assert start(TABLE1, folder, *on(cluster), "--task_cpus=2").wait(LIMIT_S) == 2
    *_, last = (folder / "err").read_text().splitlines()
    assert last.startswith("error: no machine of the cluster has what a run takes: CPU 2; see --task_cpus")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--address=localhost:1"], "error: no Ray cluster answers at localhost:1"),
        (["--coordinator=localhost:1"], "error: --coordinator is for one run over several processes"),
    ],
)
def test_what_cannot_be_ends_in_one_line(tmp_path, arguments, says):
    folder = tmp_path / "mistake"
    assert start(TABLE1, folder, "--engine=ray", *arguments).wait(LIMIT_S) == 2
    assert (folder / "err").read_text().strip().splitlines()[-1].startswith(says)


def test_without_ray_the_error_says_how_to_install_it(tmp_path):
    without = "import runpy, sys; sys.modules['ray'] = None; del sys.argv[0]; "
    without += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        [sys.executable, "-c", without, *TABLE1, "--engine=ray", f"--runs_dir={tmp_path}"],
        cwd=records.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install -r requirements-cluster.txt" in done.stderr.strip().splitlines()[-1]
