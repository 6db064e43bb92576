"""The README's commands are executed, with folders of their own and without training."""

import os
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import skimage.data

from benchmarks import records
from mscn_flax.data.made_up import random_map
from mscn_flax.modalities import MAPS
from mscn_flax.modalities.maps import to_unit

README = (records.REPOSITORY / "README.md").read_text()
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
CODEC = [command for command in COMMANDS if command.startswith("python -m mscn_flax")]
# These two are the test run itself and an hour's work.
EXECUTED = [command for command in COMMANDS if command not in ("./run_all.sh", "./run_all.sh --tests", *CODEC)]


def _run(command, folder):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(records.REPOSITORY)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", EXECUTED)
def test_command_runs(command, tmp_path):
    folders = [f"--results_dir={tmp_path / 'results'}", "--dry_run"]
    if "benchmarks.plot" in command:
        folders = [f"--plots_dir={tmp_path}"]
    elif command == "python -m benchmarks":
        folders = []
    _run(" ".join([command, *folders]), records.REPOSITORY)


def test_codec_section_runs(tmp_path):
    PIL.Image.fromarray(skimage.data.astronaut()[:70, :50]).save(tmp_path / "photo.png")
    made = to_unit(random_map(np.random.default_rng(0), (181, 360)))
    MAPS.write(tmp_path / "temperature.nc", made[None, ..., None])
    done = [command.split()[3] for command in CODEC]
    assert done == ["train", "encode", "decode", "info", "models", "train", "encode", "decode"]
    # A few steps and signals are enough to see that it runs.
    short = " --gin_param codec/Training.outer_steps=5 --gin_param codec.fit_signals=100"
    for command in CODEC:
        _run(command + (short if " train " in command else ""), tmp_path)
    with PIL.Image.open(tmp_path / "decoded.png") as decoded:
        assert decoded.size == (50, 70)
    assert MAPS.read(tmp_path / "decoded.nc").shape == (1, 46, 90, 1)


def test_python_snippets_run():
    for snippet in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        subprocess.run([sys.executable, "-c", snippet], cwd=records.REPOSITORY, check=True, capture_output=True)


def test_every_path_named_exists():
    named = re.findall(r"`((?:benchmarks|gin|results|plots|tests|mscn_flax)/[\w./-]+)`", README)
    assert named
    for path in named:
        assert (records.REPOSITORY / path).exists(), path
