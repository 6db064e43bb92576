"""A method, a data set and a file codec that are no part of the repository take part in its benchmarks and figures."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import codecs, csv_files, looks, methods, records
from mscn_flax import configuration, data

EXAMPLES = records.REPOSITORY / "examples"

OWN = '''
"""Noise as a data set, and pictures of 4 bits per value as a file codec."""

import numpy as np

from benchmarks import codecs
from benchmarks.looks import Look
from mscn_flax import data


def _read(split, resolution, folder):
    rng = np.random.default_rng(data.reading.SPLITS.index(split))
    pictures = rng.integers(0, 256, (64, resolution, resolution, 3), np.uint8)
    return data.Arrays("noise", "standin", list(pictures))


def _packed(image, bits):
    return bytes(image.shape[:2]) + (image >> 8 - bits << 8 - bits).tobytes()


def _unpacked(file):
    return np.frombuffer(file[2:], np.uint8).reshape(*file[:2], 3)


data.register("noise", data.DataSet(_read, resolution=16, embedded=True))
codecs.register(codecs.Codec("few_bits", "bits", (2, 4), _packed, _unpacked, look=Look("few bits")))
'''

GRIDS = {
    "table1_modulations": """
        table1.datasets = ["noise"]
        table1.methods = ["mscn", "per_signal_top_n"]
        per_signal_top_n/MetaLearner.inner_steps = 2""",
    "fig2_unstructured": """
        fig2.datasets = ["noise"]
        fig2.methods = ["mscn_meta_sgd", "per_signal_top_n"]
        fig2.rounds = [4, 9]""",
    "fig7_rate_distortion": """
        fig7.datasets = ["noise"]
        fig7.methods = ["mscn", "per_signal_top_n"]
        fig7.budgets = {"noise": [8, 12]}
        fig7.real_codecs = ["jpeg", "few_bits"]""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Where the three benchmarks have run and been drawn, by programs that know of their parts through gin alone."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "grids").mkdir()
    (folder / "grids" / "own.py").write_text(OWN)
    for name, text in GRIDS.items():
        lines = ["import own", "import per_signal_top_n", f"include 'gin/smoke/{name}.gin'", text.replace(" " * 8, "")]
        lines += ["Training.outer_steps = 4", "Training.test_signals = 3", ""]
        (folder / "grids" / f"{name}.gin").write_text("\n".join(lines))
    command = [sys.executable, "-m", "benchmarks", "run", "--preset=smoke", f"--gin_file={folder / 'grids'}"]
    command += [f"--only={name}" for name in GRIDS]
    command += [f"--{name}_dir={folder / name}" for name in ("results", "plots", "runs")]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(records.REPOSITORY), str(EXAMPLES)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def rows(folder, name) -> pd.DataFrame:
    found = csv_files.read(folder / "results" / "smoke" / f"{name}.csv", list(records.TABLES[name][""]))
    assert set(found["dataset"]) == {"noise"}
    return found


def test_a_method_takes_part_in_table_1(folder):
    found = rows(folder, "table1_modulations")
    assert found.groupby("method").size().to_dict() == {"mscn": 3, "per_signal_top_n": 3}
    assert set(found["budget"]) == {16}  # As counted in the codes.
    assert found.set_index("method")["inner_steps"].to_dict() == {"mscn": 3, "per_signal_top_n": 2}
    masks = pd.read_csv(folder / "results" / "smoke" / "table1_modulations_masks.csv")
    assert set(masks["method"]) == {"mscn"}  # The other has a pattern per signal.
    text = (folder / "plots" / "smoke" / "table1_modulations.md").read_text()
    assert "| per-signal top-n |" in text
    assert "| MSCN |" in text


def test_a_method_takes_part_in_figure_2(folder):
    found = rows(folder, "fig2_unstructured").query("method == 'per_signal_top_n'")
    assert set(found["inner_optimizer"]) == {"meta_sgd"}  # Adam would keep every entry.
    kept = found["kept_weights"] + found["kept_biases"]
    assert (kept == (found["budget"] * found["weights"]).round()).all()
    assert found.groupby("budget").size().tolist() == [3, 3]
    drawn = pd.read_csv(folder / "plots" / "smoke" / "fig2_unstructured.csv")
    assert "per_signal_top_n" in set(drawn["method"])


def test_a_method_and_a_file_codec_take_part_in_figure_7(folder):
    found = rows(folder, "fig7_rate_distortion")
    own = found.query("method == 'per_signal_top_n'")
    assert own.groupby(["budget", "bits"]).size().to_dict() == {(n, b): 3 for n in (8, 12) for b in (4, 5, 32)}
    # A stream holds a mask of 32 entries per signal besides its numbers, in about as many bytes as they are apart.
    exact = own.query("bits == 32")
    assert (exact["bytes"] == 4 * exact["budget"] + 2 * 16 // 8).all()
    coded = own.query("bits != 32")
    assert ((coded["bpp_payload"] - coded["bpp_entropy"]).abs() * coded["pixels"] / 8 < 3).all()
    assert (coded["bpp"] < exact["bpp"].max()).all()
    few = found.query("method == 'few_bits'").groupby("budget")["psnr_db"].mean()
    assert few[4] > few[2] + 6
    text = (folder / "plots" / "smoke" / "fig7_rate_distortion.md").read_text()
    assert "| per-signal top-n | 8 | plain | 5 |" in text
    # The example's learner is none that a model's file could describe.
    saved = {path.parent.name.split("-")[2] for path in folder.rglob("*.safetensors")}
    assert saved == {"mscn"}


def test_looks_reach_the_results_and_come_back_with_them(folder, tmp_path):
    path = folder / "results" / "smoke" / "methods.json"
    assert set(json.loads(path.read_text())) == {"per_signal_top_n", "few_bits"}
    assert looks.read(path)["per_signal_top_n"].label == "per-signal top-n"
    # Collecting again needs none of the modules.
    command = [sys.executable, "-m", "benchmarks", "collect", "--preset=smoke", f"--runs_dir={folder / 'runs'}"]
    done = subprocess.run(
        [*command, f"--results_dir={tmp_path}"], cwd=records.REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert looks.read(tmp_path / "smoke" / "methods.json") == looks.read(path)


def test_the_example_is_the_preset_with_one_more_method(build):
    text = (EXAMPLES / "per_signal_top_n.py").read_text()
    assert len(text.splitlines()) <= 40
    with_it = build("table1_modulations", files=["gin/wide", EXAMPLES / "per_signal_top_n.gin"], preset="quick")
    without = build("table1_modulations", preset="quick", files=["gin/wide"])
    assert [job for job in with_it if job.method == "per_signal_top_n"]
    others = [job.setup for job in with_it if job.method != "per_signal_top_n"]
    assert others == [job.setup for job in without]
    assert configuration.unused() == []


def test_what_a_changed_file_has_made_is_made_again(build, tmp_path, monkeypatch):
    for name in [*methods.METHODS, "edited"]:
        monkeypatch.setitem(methods.METHODS, name, methods.METHODS.get(name))
    del methods.METHODS["edited"]
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "edited.py"
    file.write_text((EXAMPLES / "per_signal_top_n.py").read_text().replace('"per_signal_top_n"', '"edited"'))
    (tmp_path / "own.gin").write_text("import edited\ntable1.methods = ['mscn', 'edited']\n")

    def ids() -> dict[str, tuple[str, str]]:
        jobs = build("table1_modulations", "table1.datasets=['photos']", files=[tmp_path / "own.gin"])
        return {job.method: (job.id, job.training) for job in jobs}

    before = ids()
    file.write_text(file.read_text() + "# Changed.\n")
    assert ids() == before  # What this process has imported is what it was.
    del sys.modules["edited"], methods.METHODS["edited"]
    after = ids()
    assert after["mscn"] == before["mscn"]
    assert after["edited"][0] != before["edited"][0]
    assert after["edited"][1] != before["edited"][1]


def test_names_that_are_taken_or_no_scope_are_refused(monkeypatch):
    known = methods.METHODS["functa"]
    monkeypatch.setattr(methods, "METHODS", {"functa": known})
    methods.register("functa", known)
    with pytest.raises(ValueError, match="there is a method 'functa' already"):
        methods.register("functa", methods.Method(known.field, known.learner))
    with pytest.raises(ValueError, match="not 'top-n'"):
        methods.register("top-n", known)
    data.register("photos", data.DATA_SETS["photos"])
    with pytest.raises(ValueError, match="there is a data set 'photos' already"):
        data.register("photos", data.DATA_SETS["cifar10"])
    with pytest.raises(ValueError, match="not 'my/photos'"):
        data.register("my/photos", data.DATA_SETS["photos"])
    with pytest.raises(ValueError, match="not 'a b'"):
        codecs.register(codecs.Codec("a b", "quality", (), np.array, np.array))
