"""A benchmark as a user runs it: in a process of its own that may be killed at any moment."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pandas as pd
import pytest

from benchmarks import csv_files, records
from mscn_flax import cores

DEVICES = len(cores.available())
"""Of a process."""

TINY = [
    "--preset=smoke",
    "--gin_param=table1.datasets=['photos']",
    "--gin_param=table1.budgets=[16]",
    "--gin_param=table1.methods=['mscn']",
    "--gin_param=table1/Training.outer_steps=16",
    "--gin_param=table1/Training.checkpoint_every=1",
    "--gin_param=table1/Training.test_signals=8",
]


def command(folder: pathlib.Path, *more: str) -> list[str]:
    folders = [f"--results_dir={folder / 'results'}", f"--runs_dir={folder / 'runs'}"]
    return [sys.executable, "-m", "benchmarks.table1_modulations", *TINY, *folders, *more]


def run(folder: pathlib.Path, *more: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(folder, *more),
        cwd=records.REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def together(folder: pathlib.Path, log: pathlib.Path) -> list[subprocess.Popen]:
    """Two processes that train as one."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    several = [f"--coordinator=localhost:{port}", "--processes=2"]
    with log.open("w") as out:
        return [
            subprocess.Popen(
                command(folder, *several, f"--process={index}"), cwd=records.REPOSITORY, stdout=out, stderr=out
            )
            for index in range(2)
        ]


def wait_for_checkpoint(folder: pathlib.Path, step: int, process: subprocess.Popen) -> None:
    """Until there is one of at least `step` outer steps; the process must still be running then."""
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        steps = [int(p.name) for p in (folder / "runs").glob("smoke/*/*/checkpoints/*") if p.name.isdigit()]
        if max(steps, default=0) >= step:
            break
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"


def assert_close(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same rows but for the order in which numbers were added up."""
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3)


def rows(folder: pathlib.Path) -> pd.DataFrame:
    found = csv_files.read(folder / "results" / "smoke" / "table1_modulations.csv", records.MODULATION_COLUMNS)
    return found.drop(columns=["encode_s", "decode_s"])  # Times are the one thing that may differ.


def masks(folder: pathlib.Path) -> pd.DataFrame:
    return csv_files.read(folder / "results" / "smoke" / "table1_modulations_masks.csv", records.MASK_COLUMNS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pathlib.Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_rows_follow_the_schema(whole):
    found = rows(whole)
    assert len(found) == 8
    assert set(found["budget"]) == {16}  # As measured in the fitted codes.
    assert set(found["source"]) == {"standin"}
    assert found["signal_id"].is_unique
    assert len(masks(whole)) == 16
    (line,) = (whole / "results" / "smoke" / "table1_modulations.provenance.jsonl").read_text().splitlines()
    for key in ("gin", "versions", "device", "commit", "seed", "wall_s", "compile_s"):
        assert f'"{key}"' in line


@pytest.mark.parametrize("checkpoints_before", [1, 8])
def test_a_killed_run_ends_with_the_same_numbers(whole, tmp_path, checkpoints_before):
    process = subprocess.Popen(
        command(tmp_path), cwd=records.REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # A checkpoint follows every step, so whenever the process dies it is writing one.
    wait_for_checkpoint(tmp_path, checkpoints_before, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "results").exists()
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(rows(tmp_path), rows(whole))
    pd.testing.assert_frame_equal(masks(tmp_path), masks(whole))


def test_two_processes_train_as_one(whole, tmp_path):
    processes = together(tmp_path, tmp_path / "log")
    assert [process.wait(300) for process in processes] == [0, 0], (tmp_path / "log").read_text()
    assert_close(rows(tmp_path), rows(whole))
    pd.testing.assert_frame_equal(masks(tmp_path), masks(whole))
    (line,) = (tmp_path / "results" / "smoke" / "table1_modulations.provenance.jsonl").read_text().splitlines()
    assert json.loads(line)["device"].startswith(f"{2 * DEVICES} x cpu")


def test_one_process_goes_on_where_two_were_killed(whole, tmp_path):
    processes = together(tmp_path, tmp_path / "log")
    wait_for_checkpoint(tmp_path, 5, processes[0])
    for process in processes:
        process.kill()
        process.wait()
    assert not (tmp_path / "results").exists()
    done = run(tmp_path, XLA_FLAGS="--xla_force_host_platform_device_count=1")
    assert done.returncode == 0, done.stderr
    assert_close(rows(tmp_path), rows(whole))
    (line,) = (tmp_path / "results" / "smoke" / "table1_modulations.provenance.jsonl").read_text().splitlines()
    assert json.loads(line)["resumed_at_step"] >= 5
    assert json.loads(line)["device"].startswith("1 x cpu")


def test_eight_devices_give_the_numbers_of_few(whole, tmp_path):
    done = run(tmp_path, XLA_FLAGS="--xla_force_host_platform_device_count=8")
    assert done.returncode == 0, done.stderr
    assert_close(rows(tmp_path), rows(whole))
    assert '"device": "8 x cpu' in (tmp_path / "results/smoke/table1_modulations.provenance.jsonl").read_text()


def test_several_processes_need_to_be_told_apart(tmp_path):
    done = run(tmp_path, "--coordinator=localhost:1", "--processes=2", "--process=2")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: several processes need --coordinator=HOST:PORT")


def test_a_second_call_does_only_what_is_missing(whole):
    before = (whole / "results" / "smoke" / "table1_modulations.csv").read_bytes()
    done = run(whole)
    assert done.returncode == 0, done.stderr
    assert "done before" in done.stdout
    assert (whole / "results" / "smoke" / "table1_modulations.csv").read_bytes() == before


def test_budgets_share_their_compilations(tmp_path):
    def compilations(budgets: list[int]) -> Counter:
        more = [f"--gin_param=table1.budgets={budgets}", "--gin_param=table1/Training.outer_steps=2"]
        done = run(tmp_path / str(len(budgets)), *more, JAX_LOG_COMPILES="1", JAX_ENABLE_COMPILATION_CACHE="false")
        assert done.returncode == 0, done.stderr
        # The first state holds its budget; from there on the budget is data.
        return Counter(
            name for name in re.findall(r"XLA compilation of (\S+)", done.stderr) if "init_state" not in name
        )

    once = compilations([16])
    assert once["jit(train_step)"] == 1
    assert compilations([16, 24, 32]) == once


def test_lost_rows_are_written_again(whole, tmp_path):
    (tmp_path / "runs").symlink_to(whole / "runs")
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(rows(tmp_path), rows(whole))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    done = run(tmp_path, "--gin_param=table1/OuterOptimizer.learning_rate=1e30")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: photos-standin-mscn-16-published-s0-")
    assert "outer step" in last
    gin_file = last.split("--gin_file=")[1].split("  (")[0]
    assert "learning_rate = 1e+30" in pathlib.Path(gin_file).read_text()
    assert not (tmp_path / "results").exists()
    # The gin file that the message names reproduces it, without any other.
    again = subprocess.run(
        [*command(tmp_path / "again")[:3], f"--gin_file={gin_file}", *command(tmp_path / "again")[-2:]],
        cwd=records.REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 2
    assert again.stderr.strip().splitlines()[-1].split(" at outer step ")[0] == last.split(" at outer step ")[0]


CHAIN = [
    "--preset=smoke",
    "--gin_param=fig2.methods=['meta_sparse_inr']",
    "--gin_param=fig2/Siren.width=8",
    "--gin_param=fig2/Training.outer_steps=6",
    "--gin_param=fig2/AdamFit.steps=2",
]


def chain(folder: pathlib.Path, rounds: list[int]) -> pd.DataFrame:
    folders = [f"--results_dir={folder / 'results'}", f"--runs_dir={folder / 'runs'}"]
    command = [sys.executable, "-m", "benchmarks.fig2_unstructured", *CHAIN, f"--gin_param=fig2.rounds={rounds}"]
    done = subprocess.run(
        [*command, *folders], cwd=records.REPOSITORY, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = csv_files.read(folder / "results" / "smoke" / "fig2_unstructured.csv")
    return found.drop(columns=["encode_s", "decode_s"])


def test_rounds_of_pruning_share_one_training(tmp_path):
    both = chain(tmp_path / "both", [2, 3])
    assert set(both["inner_optimizer"]) == {"sgd", "adam"}
    lines = (tmp_path / "both" / "results" / "smoke" / "fig2_unstructured.provenance.jsonl").read_text().splitlines()
    for line in lines:
        found = json.loads(line)["gin"]
        assert "fig2/published/sdf2d/meta_sparse_inr/PruningRounds.round_steps = 2" in found
        assert "fig2/published/sdf2d/meta_sparse_inr/Training.outer_steps = 6" in found
    for _, row in both.iterrows():
        assert row["kept_weights"] == round(row["weights"] * row["budget"])
        assert row["kept_biases"] == row["biases"]
    # The later round alone ends with the same numbers as after a stop at the earlier one.
    later = chain(tmp_path / "later", [3])
    expected = both[both["run_id"].isin(later["run_id"])].reset_index(drop=True)
    assert len(expected) == len(later)
    pd.testing.assert_frame_equal(later, expected)
    # Rows of the earlier round that are lost come back, though the training has gone on since.
    shutil.rmtree(tmp_path / "both" / "results")
    for done in (tmp_path / "both").rglob("run.json"):
        done.unlink()
    pd.testing.assert_frame_equal(chain(tmp_path / "both", [2, 3]), both)


def test_maps_solids_and_scenes_run_like_pictures_and_are_drawn(tmp_path):
    more = [
        "--gin_param=table1.datasets=['era5', 'shapenet10', 'srn_cars']",
        "--gin_param=table1.budgets=[8]",
        "--gin_param=table1/Training.outer_steps=4",
        "--gin_param=table1/Siren.width=8",
        "--gin_param=table1/Training.test_signals=2",
        f"--data_dir={tmp_path}",
    ]
    done = run(tmp_path, *more)
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path)
    assert found.groupby("dataset").size().to_dict() == {"sphere_fields": 2, "solids": 2, "balls": 2}
    assert (found["budget"] == 8).all()
    own = found.set_index("dataset")
    assert own.loc["solids", "voxel_accuracy"].between(0, 1).all()
    assert own.loc["sphere_fields", "psnr_weighted_db"].notna().all()
    assert own.loc[["sphere_fields", "balls"], "voxel_accuracy"].isna().all()
    assert set(found["trained_on"]) == {f"{name} (standin)" for name in ("sphere_fields", "solids", "balls")}
    drawn = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.plot",
            "table1_modulations",
            "--preset=smoke",
            f"--results_dir={tmp_path / 'results'}",
            f"--plots_dir={tmp_path / 'plots'}",
        ],
        cwd=records.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert drawn.returncode == 0, drawn.stderr
    names = {path.name for path in (tmp_path / "plots" / "smoke").iterdir()}
    assert {
        "fig5_voxels_solids_standin.png",
        "fig6_climate_sphere_fields_standin.png",
        "fig6_climate_sphere_fields_standin_mscn.gif",
        "novel_views_balls_standin.png",
        "novel_views_balls_standin_turntable.gif",
    } <= names
