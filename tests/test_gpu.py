"""What a GPU is to show: parts that end in time, the best trial of each method, chunks that fit, speed by precision."""

import json
import subprocess
import sys
import tarfile
import time

import pandas as pd
import pytest

from benchmarks import gpu, launch, records
from mscn_flax import memory
from mscn_flax.siren import Siren


def test_a_part_that_takes_too_long_is_stopped_and_what_others_wrote_is_packed(tmp_path, capsys):
    session = gpu.Session(tmp_path / "out", tmp_path / "work", 60, smoke=False)
    (tmp_path / "work" / "results" / "gpu" / "x.csv").write_text("1")
    began = time.monotonic()
    session.run("part", 7, [gpu.Command("endless", ["http.server", "0"]), gpu.Command("wrong", ["no_such_module"])])
    assert time.monotonic() - began < 40
    assert "stopped, failed with status 1" in capsys.readouterr().out
    with tarfile.open(tmp_path / "out" / "results.tar.gz") as packed:
        assert {"results/gpu/x.csv", "results/logs/wrong.log"} <= set(packed.getnames())


def test_each_method_trains_at_its_best_rate_for_as_many_steps_as_fit(tmp_path):
    session = gpu.Session(tmp_path / "out", tmp_path / "work", 60, smoke=False)
    tried = [("functa", 1e-4, 20.0), ("functa", 2e-4, 12.0), ("mscn", 1e-4, 19.0), ("mscn", 2e-4, 19.5)]
    tried += [("mscn", 4e-4, float("nan"))]
    common = {"benchmark": "table1_modulations", "step_s": 0.01}
    rows = [{"method": method, "outer_rate": rate, "psnr_db": psnr} | common for method, rate, psnr in tried]
    session.trials_file.write_text(json.dumps(rows))
    found = {
        command.name: " ".join(command.arguments)
        for command in gpu.paper_network(session, "table1_modulations", training_s=100)
    }
    assert "OuterOptimizer.learning_rate=0.0001" in found["table1_modulations_functa"]
    assert "OuterOptimizer.learning_rate=0.0002" in found["table1_modulations_mscn"]
    for arguments in found.values():
        steps = int(arguments.split("outer_steps=")[1].split()[0])
        assert 100 / 0.02 / 1.3 < steps <= 100 / 0.02
    assert "outer_steps" not in " ".join(
        gpu.paper_network(session, "fig7_rate_distortion", training_s=100)[0].arguments
    )


def test_as_many_signals_at_a_time_as_memory_holds(monkeypatch):
    siren = Siren(depth=15, width=512)
    assert memory.signals_at_a_time(3, siren, 1024) == 3
    assert memory.signals_at_a_time(None, siren, 1024) == 16  # A CPU does not say how much it has.
    for limit in (1e7, 1e9, 1e11):
        monkeypatch.setattr(memory, "available", lambda limit=limit: int(limit))
        count = memory.signals_at_a_time(None, siren, 1024)
        assert count >= 1
        assert count == 1 or limit / 4 < count * memory.signal_bytes(siren, 1024) < limit / 2


@pytest.mark.parametrize("together", ["None", "3"])
def test_speed_names_the_precision(together, tmp_path):
    bindings = ["speed.sizes=[(8, 3, 2, 4), (4, 3, 2)]", "speed.precisions=['float32', 'bfloat16']", "speed.repeats=1"]
    bindings += ["speed.compared=[(4, 3, 2)]", "speed.resolution=4", "speed.whole_networks=[]", "speed.codes=['mscn']"]
    bindings += ["speed.rounds=1", "speed.budget=4", f"speed.sizes_per_process={together}"]
    folders = [f"--results_dir={tmp_path}", f"--runs_dir={tmp_path}"]
    command = [sys.executable, "-m", "benchmarks.speed", "--gin_file=gin/speed.gin", *folders]
    command += [f"--gin_param={binding}" for binding in bindings]
    done = subprocess.run(
        command, cwd=records.REPOSITORY, env=launch.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(tmp_path / "custom" / "speed.csv")
    counted = rows[rows["task"] == "meta_step"].groupby(["width", "precision"])["run_id"].nunique()
    assert counted.to_dict() == {(8, "float32"): 1, (8, "bfloat16"): 1, (4, "float32"): 3, (4, "bfloat16"): 1}
    assert (rows["step_s"] > 0).all()
