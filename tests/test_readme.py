"""The commands of the README and of the other pages are executed, with folders of their own and without training."""

import os
import re
import subprocess
import sys

import PIL.Image
import pytest
import skimage.data

from benchmarks import pages, records

ROOT = records.REPOSITORY
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(pages.pages(ROOT))}


def _blocks(kind: str, page: str = "") -> list[str]:
    texts = [PAGES[page]] if page else PAGES.values()
    return [block for text in texts for block in re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)]


def _commands(page: str = "") -> list[str]:
    lines = [line.split("  #")[0].strip() for block in _blocks("bash", page) for line in block.splitlines()]
    return list(filter(None, lines))


CODEC = [
    command
    for page in ("README.md", "docs/codec.md")
    for command in _commands(page)
    if command.startswith("python -m mscn_flax")
]
# These two are the test run itself and an hour's work.
EXECUTED = sorted({*_commands()} - {"./run_all.sh", "./run_all.sh --tests", *CODEC})


def _run(command, folder):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(ROOT)}
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
    elif command == "./run_all.sh --preset smoke":
        # Of all benchmarks two: one that trains, one that does not. What is estimated of a training is compiled.
        folders += ["--only fig2_unstructured", "--only codec_speed"]
    _run(" ".join([command, *folders]), ROOT)


def test_the_codec_runs_as_the_pages_say(tmp_path):
    PIL.Image.fromarray(skimage.data.astronaut()[:70, :50]).save(tmp_path / "photo.png")
    done = [command.split()[3] for command in CODEC]
    assert done == ["encode", "encode", "decode", "models", "encode", "info", "train", "encode", "decode"]
    # A small network, a few steps and signals are enough to see that it runs.
    short = " --modulations=8 --gin_param Siren.width=8"
    short += " --gin_param Training.outer_steps=5 --gin_param codec.fit_signals=30"
    for command in CODEC:
        _run(command + (short if " train " in command else ""), tmp_path)
    for name in ("photo", "own"):
        with PIL.Image.open(tmp_path / f"{name}.decoded.png") as decoded:
            assert decoded.size == (50, 70)
    assert {path.name for path in tmp_path.glob("*.mscn")} == {"photo.mscn", "small.mscn", "compared.mscn", "own.mscn"}


@pytest.mark.parametrize("snippet", _blocks("python"))
def test_python_snippet_runs(snippet):
    subprocess.run([sys.executable, "-c", snippet], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_exists(page):
    named = re.findall(r"`((?:benchmarks|docs|examples|gin|results|plots|tests|mscn_flax)/[\w./-]+)`", PAGES[page])
    links = re.findall(r"\]\((?!https?://)([^)#]+)", PAGES[page])
    for path in [ROOT / name for name in named] + [(ROOT / page).parent / link for link in links]:
        assert path.exists(), path


def test_the_readme_is_read_in_two_minutes():
    assert len(PAGES["README.md"].splitlines()) <= 150
    assert set(_headings("README.md")) >= {"Run it", "Compress a file", "Use the library", "Add your own"}


def _headings(page: str) -> list[str]:
    return re.findall(r"^## (.+)$", PAGES[page], re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_tables_between_markers_are_those_of_the_plots(page):
    assert pages.filled(PAGES[page], ROOT) == PAGES[page]
    for name in re.findall(r"<!-- begin ([^ ]+) -->", PAGES[page]):
        assert (ROOT / name).is_file(), name
