"""What a user types, right and wrong: every mistake ends in one line that says what would be right."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from benchmarks import __main__ as program
from benchmarks import cli, records
from benchmarks.catalogue import CATALOGUE
from mscn_flax.text import first_line

TABLE1 = ["benchmarks.table1_modulations", "--preset=smoke"]


def python_m(*arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=records.REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("--gin_param=tabel1.budgets=[16]", "'table1'"),
        ("--gin_param=table1.budget=[16]", "Did you mean 'budgets'"),
        ("--gin_param=table1/Siren.widht=16", "Did you mean 'width'"),
        ("--gin_param=table1.methods=['functaa']", "valid: functa, mscn"),
        ("--gin_param=table1.datasets=['cifar11']", "valid: photos, cifar10, celeb_a_hq"),
        ("--gin_param=table1/Siren.sine='fsat'", "fast, plain"),
        ("--gin_param=table1.budgets=[4096]", "a budget of 4096"),
        ("--gin_param=table1/HardConcrete.gamma=0.5", "gamma < 0"),
        ("--gin_param=table1/Training.batch_size=0", "batch_size must be at least 1"),
        ("--gin_file=gin/no_such_file.gin", "gin/no_such_file.gin"),
        ("--gin_param=table1.standins={'cifar10': ['photoz']}", "valid: photos"),
        ("--gin_param=table1.methods=[]", "empty; valid: functa, mscn"),
        ("--gin_param=table1.budgets=64", "table1.budgets is 64, and not a list"),
        ("--gin_param=table1.equal=['parameters']", "table1.equal is ['parameters'], and not a dict"),
        ("--gin_param=table1.budgets=[16, 16]", "table1.budgets has 16 twice"),
        ("--gin_param=table1.budgets=['16']", "table1.budgets has '16', and takes whole numbers"),
        ("--gin_param=table1.budgets=[0]", "table1.budgets is [0]"),
        ("--gin_param=table1.budgets=[16", "EOF"),
        ("--gin_param=table1.seeds=[-1]", "a random seed is from 0 to 4294967295, not -1"),
        ("--gin_param=table1.equal={'cifar11': ['parameters']}", "table1.equal has 'cifar11'"),
        ("--gin_file=examples/typo.gin", "there is no gin file examples/typo.gin"),
        ("--preset=wide", "no preset 'wide'"),
        ("--gin_param=table1/Training.outer_steps='x'", "outer_steps must be at least 1 and whole, got 'x'"),
    ],
)
def test_a_mistake_ends_with_what_is_valid(build, mistake, says):
    with pytest.raises(cli.MISTAKES) as caught:
        build("table1_modulations", flags=[mistake])
    assert says in first_line(caught.value)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [("--gin_param=tabel1.budgets=[16]", "'table1'"), ("surplus", "unexpected argument 'surplus'")],
)
def test_a_mistake_is_one_line_and_status_2(mistake, says, tmp_path):
    folders = [f"--results_dir={tmp_path}", f"--runs_dir={tmp_path}"]
    done = python_m(*TABLE1, mistake, *folders)
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert says in line
    assert "Traceback" not in done.stderr


def test_no_configuration_is_named(tmp_path):
    done = python_m(TABLE1[0], f"--results_dir={tmp_path}")
    assert done.returncode == 2
    assert "datasets" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_missing_data_names_the_remedy(build, tmp_path, capsys):
    folders = [f"--results_dir={tmp_path}", f"--runs_dir={tmp_path}", f"--data_dir={tmp_path}"]
    done = python_m(*TABLE1, "--gin_param=table1.standins={}", *folders)
    assert done.returncode == 2
    assert "stand-in `photos`" in done.stderr.strip().splitlines()[-1]
    assert "photos" in {job.dataset for job in build("table1_modulations")}
    assert "Going on with the stand-in photos" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tune"], "name what to tune"),
        (["tune", "nothing"], "unexpected 'tune nothing'"),
        (["tune", "table1_modulations", "--preset=paper"], "preset tuning's, not paper's"),
        (["collect", "--dry_run"], "--dry_run is for what trains"),
        (["collect", "--preset=quik"], "no run at preset quik is done"),
    ],
)
def test_a_command_that_cannot_be_ends_in_one_line(arguments, says):
    done = python_m("benchmarks", *arguments)
    assert done.returncode
    assert says in done.stderr.strip().splitlines()[-1]


def test_an_interruption_is_one_line(build, monkeypatch, capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.app, "run", lambda main: main([]))
    with pytest.raises(SystemExit, match="130"):
        cli.start(interrupted)
    assert capsys.readouterr().err == "interrupted\n"
    monkeypatch.setattr(cli, "choose_devices", lambda: interrupted([]))
    build("growth", flags=[])
    with pytest.raises(SystemExit, match="130"):
        cli.main("growth")
    says = "growth: interrupted; what is done is kept, and the same command goes on from there\n"
    assert capsys.readouterr().err == says


def test_the_list_names_every_benchmark(tmp_path):
    done = python_m("benchmarks", f"--results_dir={tmp_path}", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for name in CATALOGUE:
        assert name in done.stdout


def test_dry_run_shows_sizes_and_trains_nothing(tmp_path):
    folders = [f"--results_dir={tmp_path / 'results'}", f"--runs_dir={tmp_path / 'runs'}"]
    asked = ["--preset=smoke", "--dry_run", "--only=table1_modulations", "--gin_param=table1.datasets=['photos']"]
    done = python_m("benchmarks", "run", *asked, "--gin_param=table1.seeds=[0, 1, 2]", "--seeds=2", *folders)
    assert done.returncode == 0, done.stderr
    for word in (
        "4 runs on photos",  # Two methods, two seeds.
        "table1/published/photos/mscn/Siren.width = 32",
        "GFLOP",
        "temp MiB",
        "s/step",
        "hours",
        "64 [2, 32]",
    ):
        assert word in done.stdout
    assert not list(tmp_path.rglob("*.csv"))
    assert not list(tmp_path.rglob("checkpoints"))


def test_a_gin_file_is_meant_from_where_the_user_stands(tmp_path):
    (tmp_path / "my.gin").write_text("forms.method = ['structured']")
    more = ["--only=sparsity_forms", "--preset=smoke", "--dry_run", "--gin_file=my.gin"]
    command = [sys.executable, "-m", "benchmarks", "run", *more]
    environment = os.environ | {"PYTHONPATH": str(records.REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'methods'" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.plot", "benchmarks.table1_modulations"])
def test_help_describes_the_flags(module):
    done = python_m(module, "--help")
    assert done.returncode in (0, 1)  # absl's own choice.
    assert "--results_dir" in done.stdout.replace("--[no]", "--")


def test_drawing_what_is_not_there_says_how_to_make_it(tmp_path):
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "growth.csv").touch()
    done = python_m("benchmarks.plot", "table1_modulations", f"--results_dir={tmp_path}")
    assert done.returncode == 2
    assert "--only table1_modulations" in done.stderr
    done = python_m("benchmarks.plot", "tabel1", f"--results_dir={tmp_path}")
    assert "there are table1_modulations" in done.stderr


def test_a_folder_of_gin_files_has_one_for_each_benchmark(build, tmp_path):
    (tmp_path / "growth.gin").write_text("growth.grows = {'depth': [3]}\n")
    assert len(build("growth", files=[tmp_path])) == 1
    assert len(build("codec_robustness", files=[tmp_path])) == len(build("codec_robustness"))
    (tmp_path / "growth.gin").rename(tmp_path / "own.gin")
    with pytest.raises(ValueError, match=r"has no gin file of a benchmark, such as growth\.gin"):
        build("growth", files=[tmp_path])


# Of the others the stand-ins take long to make.
@pytest.mark.parametrize("name", ["fig2_unstructured", "outer_loop", "regimes", "codec_robustness", "growth"])
def test_the_wide_grid_has_the_cells_of_quick_and_more(build, name):
    quick, wide = ({job.id for job in build(name, preset="quick", files=files)} for files in ([], ["gin/wide"]))
    # Of damaged streams there is one cell, as large as one likes.
    assert len(wide) == len(quick) if name == "codec_robustness" else quick < wide


class TestTwoBenchmarksAtOnce:
    @pytest.mark.skipif(os.cpu_count() == 1, reason="there is one core")
    def test_run_on_cores_of_their_own(self):
        here, seen, both = os.sched_getaffinity(0), {}, threading.Barrier(2)

        def run(name):
            both.wait(timeout=60)
            seen[name] = os.sched_getaffinity(0)

        program._beside(run, ["a", "b", "c", "d"], 2)
        assert set(seen) == {"a", "b", "c", "d"}
        assert set.union(*seen.values()) <= here
        if len(here) > 1:
            shares = set(map(frozenset, seen.values()))
            assert len(shares) == 2
            assert set.union(*map(set, shares)) == here
            assert not frozenset.intersection(*shares)

    def test_none_begins_once_one_has_failed(self):
        began = []

        def run(name):
            began.append(name)
            sys.exit(3)

        with pytest.raises(SystemExit, match="3"):
            program._beside(run, [str(i) for i in range(20)], 1)
        assert began[0] == "0"
        assert len(began) < 20

    def test_nothing_runs_beside_what_takes_the_time(self, build, monkeypatch):
        running, seen = set(), {}

        def python(module, *_, **__):
            running.add(module)
            time.sleep(0.05)
            seen[module.removeprefix("benchmarks.")] = len(running)
            running.remove(module)

        build("growth", flags=())  # Parses a command line.
        monkeypatch.setattr(program.launch, "python", python)
        program._run(list(CATALOGUE), "quick")
        assert set(seen) == {*CATALOGUE, "plot"}
        assert {seen[name] for name in ("speed", "growth", "cost_model", "codec_speed", "outer_loop", "plot")} == {1}


LAUNCHES = """
import sys
from benchmarks import launch
launch.python("tests.sleeper", sys.argv[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_what_the_runner_has_started_ends_with_it(tmp_path):
    (tmp_path / "sleeper.py").write_text(
        "import os, pathlib, sys, time\nfrom benchmarks import launch\nlaunch.end_with_parent()\n"
        "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\ntime.sleep(100)\n"
    )
    program = LAUNCHES.replace("tests.sleeper", "sleeper")
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(records.REPOSITORY)])}
    runner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "pid")], env=os.environ | paths)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    runner.kill()
    runner.wait()
    child = int((tmp_path / "pid").read_text())
    while time.monotonic() < deadline and os.path.exists(f"/proc/{child}"):
        if pathlib.Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":  # Nobody waits for it.
            break
        time.sleep(0.05)
    assert time.monotonic() < deadline
