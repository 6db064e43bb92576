"""Jobs beside each other: parts for schedulers, of which none tears a training apart, and programs that share one."""

import concurrent.futures
import os
import subprocess
import sys
import time
import types

import pandas as pd
import pytest

from benchmarks import cli, csv_files, engine, records

FIG2 = ["fig2.methods=['meta_sparse_inr', 'maml_one_shot', 'maml_imp', 'dense_narrow']", "fig2.rounds=[4, 9, 20]"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_parts_are_all_jobs_and_keep_a_training_together(build, count):
    jobs = build("fig2_unstructured", *FIG2, "fig2.seeds=[0, 1]")
    trainings = {job.training for job in jobs}
    # Rounds of pruning share one, so do two baselines; a narrow network has its own at every round.
    assert len(jobs) == 2 * 4 * 3
    assert len(trainings) == 2 * (1 + 1 + 3)
    parts = [engine.part(jobs, index, count) for index in range(count)]
    assert sorted(job.id for part in parts for job in part) == sorted(job.id for job in jobs)
    held = [{job.training for job in part} for part in parts]
    assert sum(map(len, held)) == len(trainings)
    assert max(map(len, held)) - min(map(len, held)) <= 1
    # Rounds of one training stay in their order.
    assert [job for job in jobs if job in parts[0]] == parts[0]


@pytest.mark.parametrize("wrong", ["2/2", "-1/2", "1", "a/b", "1/2/3", "0/0", ""])
def test_a_wrong_part_is_refused(build, wrong):
    build("codec_robustness", flags=[f"--shard={wrong}"])
    with pytest.raises(ValueError, match="--shard must be i/n with 0 <= i < n"):
        cli.shard()


def test_parts_run_apart_are_collected_into_what_one_run_gives(tmp_path):
    def run(folder, *arguments):
        folders = [f"--results_dir={tmp_path / folder / 'results'}", f"--runs_dir={tmp_path / folder / 'runs'}"]
        done = subprocess.run(
            [sys.executable, "-m", *arguments, "--preset=smoke", *folders],
            cwd=records.REPOSITORY,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    short = "--gin_param=Training.outer_steps=3"
    program, name, plots = ["benchmarks", "run"], "--only=sparsity_forms", f"--plots_dir={tmp_path / 'plots'}"
    said = run("parts", *program, name, "--shard=1/2", short, plots)
    folders = f"--runs_dir={tmp_path / 'parts' / 'runs'} --results_dir={tmp_path / 'parts' / 'results'}"
    assert f"python -m benchmarks collect --preset=smoke {folders}" in said
    assert not (tmp_path / "plots").exists()
    run("parts", "benchmarks.sparsity_forms", "--shard=0/2", short)
    assert not (tmp_path / "parts" / "results").exists()
    run("parts", "benchmarks", "collect", name)
    run("whole", "benchmarks.sparsity_forms", short)
    tables = [
        csv_files.read(tmp_path / folder / "results" / "smoke" / "sparsity_forms.csv").drop(
            columns=["encode_s", "decode_s"]
        )
        for folder in ("parts", "whole")
    ]
    first, second = (table.sort_values(["run_id", "signal_id"]).reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(first, second)


def test_programs_do_not_share_a_training(tmp_path, capsys):
    job = types.SimpleNamespace(id="a-64-s0-11", folder=tmp_path / "a-64-s0-11", training="a-64-s0-22")

    def other():
        with engine.alone(job) as waited:
            return waited

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with engine.alone(job) as waited:
            assert not waited
            later = pool.submit(other)
            time.sleep(0.3)
            assert not later.done()
        assert later.result(30)
    assert "a-64-s0-11: another program trains it" in capsys.readouterr().err
    assert not other()
