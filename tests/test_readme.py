"""The README's commands are executed, with folders of their own and without training."""

import os
import re
import subprocess
import sys

import pytest

from benchmarks import records

README = (records.REPOSITORY / "README.md").read_text()
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
# These two are the test run itself and an hour's work.
EXECUTED = [command for command in COMMANDS if command not in ("./run_all.sh", "./run_all.sh --tests")]


@pytest.mark.parametrize("command", EXECUTED)
def test_command_runs(command, tmp_path):
    folders = [f"--results_dir={tmp_path / 'results'}", "--dry_run"]
    if "benchmarks.plot" in command:
        folders = [f"--plots_dir={tmp_path}"]
    elif command == "python -m benchmarks":
        folders = []
    bin_dir = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}", "VIRTUAL_ENV": sys.prefix}
    done = subprocess.run(
        ["bash", "-c", " ".join([command, *folders])],
        cwd=records.REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_python_snippets_run():
    for snippet in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        subprocess.run([sys.executable, "-c", snippet], cwd=records.REPOSITORY, check=True, capture_output=True)


def test_every_path_named_exists():
    named = re.findall(r"`((?:benchmarks|gin|results|plots|tests|mscn_flax)/[\w./-]+)`", README)
    assert named
    for path in named:
        assert (records.REPOSITORY / path).exists(), path
