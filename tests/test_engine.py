"""A grid on a cluster of Ray: two nodes on this machine, of which one dies in mid-run."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pandas as pd
import pytest
from ray.cluster_utils import Cluster

from benchmarks import records

# Ray forks to start its own processes, which do not use this one's JAX.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")

GRID = [
    "--gin_file=gin/table1_modulations.gin",
    "--gin_file=gin/presets/smoke.gin",
    "--gin_param=table1.datasets=['photos']",
    "--gin_param=table1.budgets=[8, 16]",
    "--gin_param=table1/Siren.width=16",
    "--gin_param=table1/Training.outer_steps=25",
    "--gin_param=table1/Training.checkpoint_every=1",
    "--gin_param=table1/Training.test_signals=4",
]


def start(folder: pathlib.Path, *more: str) -> subprocess.Popen:
    folders = [f"--results_dir={folder / 'results'}", f"--runs_dir={folder / 'runs'}"]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.table1_modulations", *GRID, *folders, *more],
        cwd=records.REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


def rows(folder: pathlib.Path) -> pd.DataFrame:
    found = records.read(folder / "results" / "smoke" / "table1_modulations.csv", records.MODULATION_COLUMNS)
    found = found.drop(columns=["encode_s", "decode_s"])
    return found.sort_values(["run_id", "signal_id"], ignore_index=True)


def provenance(folder: pathlib.Path) -> dict[str, dict]:
    lines = (folder / "results" / "smoke" / "table1_modulations.provenance.jsonl").read_text().splitlines()
    return {line["run_id"]: line for line in map(json.loads, lines)}


@pytest.fixture
def cluster():
    """A head without cores, so that all work is on nodes that can be taken away."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    small = {"object_store_memory": 100 << 20, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0} | small)
    yield found
    found.shutdown()


def add_node(cluster: Cluster):
    return cluster.add_node(num_cpus=1, object_store_memory=100 << 20)


def test_a_grid_survives_the_loss_of_a_node(cluster, tmp_path):
    nodes = [add_node(cluster), add_node(cluster)]
    cluster.wait_for_nodes()
    on_ray = ("--engine=ray", f"--address={cluster.address}", "--task_cpus=1")
    process = start(tmp_path / "ray", *on_ray)
    deadline = time.monotonic() + 240
    begun = []
    while process.poll() is None and time.monotonic() < deadline and len(begun) < 2:
        found = (tmp_path / "ray" / "runs").glob("smoke/*/*/checkpoints/*")
        begun = {path.parent.parent.name for path in found if path.name.isdigit() and int(path.name) >= 5}
        time.sleep(0.01)
    assert len(begun) == 2, ended(process)
    cluster.remove_node(nodes[0], allow_graceful=False)
    status, said = ended(process)
    assert status == 0, said
    assert "table1_modulations on Ray  step 4/4" in said

    expected = start(tmp_path / "one")
    assert ended(expected)[0] == 0
    assert len(rows(tmp_path / "one")) == 4 * 4
    # One device there, all cores here: sums in another order.
    pd.testing.assert_frame_equal(rows(tmp_path / "ray"), rows(tmp_path / "one"), rtol=1e-3)
    resumed = {run for run, line in provenance(tmp_path / "ray").items() if line["resumed_at_step"] >= 5}
    assert len(resumed) == 1
    of_ray, of_one = provenance(tmp_path / "ray"), provenance(tmp_path / "one")
    assert {run: line["gin"] for run, line in of_ray.items()} == {run: line["gin"] for run, line in of_one.items()}

    # Nothing is left to do, on Ray or here.
    for more in (on_ray, ()):
        status, said = ended(start(tmp_path / "ray", *more))
        assert (status, said.count("done before")) == (0, 4)


def test_what_fails_is_said_and_the_rest_is_kept(cluster, tmp_path):
    add_node(cluster)
    rates = ["--gin_param=table1.budgets=[8]", "--gin_param=table1.methods=['mscn', 'functa']"]
    wrong = "--gin_param=table1/photos/functa/MetaLearner.inner_lr_range=(1e30, 1e30)"
    process = start(tmp_path, *rates, wrong, "--engine=ray", f"--address={cluster.address}", "--task_cpus=1")
    status, said = ended(process)
    assert status == 2
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: 1 of 2 trainings failed, the first: photos-standin-functa-8-s0-")
    assert "loss" in last
    assert set(rows(tmp_path)["method"]) == {"mscn"}
