"""Tuning is an ordinary run that is judged on the validation split, in a folder of its own."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from benchmarks import cli, engine, records

TRAINED = {
    "table1_modulations": ["table1.datasets=['photos']", "table1.methods=['mscn']"],
    "fig2_unstructured": ["fig2.methods=['dense_narrow']", "fig2.rounds=[4]", "fig2.adam_signals=2"],
    "sparsity_forms": ["forms.methods=['structured']"],
    "climate_rate_distortion": ["climate.methods=['mscn']", "climate.real_codecs=['jpeg2000']"],
    "fig7_rate_distortion": [
        "fig7.datasets=['kodak']",
        "fig7.budgets={'kodak': [8]}",
        "fig7.methods=['mscn', 'coin']",
        "fig7.coin_sizes={'kodak': [(1, 8)]}",
        "fig7.real_codecs=['jpeg']",
        "Coding.bits=(5,)",
        "Training.test_signals=23",  # Of numbers 14 and 22 the strip shows parts, if they are Kodak's.
        "coin/Coin.images=23",
    ],
}

WITHOUT_TEST_SIGNALS = """
import json, sys
from absl import flags
from benchmarks import cli, engine
from mscn_flax import data

load = data.load

def checked(name, split, **options):
    assert split != "test", f"the test split of {name} is read"
    return load(name, split, **options)

data.load = checked
grids, folder = json.loads(sys.argv[1]), sys.argv[2]
for name in grids:
    __import__(f"benchmarks.{name}")  # Before the configuration is locked.
found = {}
for name, parameters in grids.items():
    flags.FLAGS.unparse_flags()
    flags.FLAGS(["", f"--gin_file=gin/smoke/{name}.gin", f"--runs_dir={folder}", *parameters])
    found[name] = []
    for job in cli.jobs(name):
        result = engine.compute(job)
        found[name].append((job.method, result.tables[""], list(result.files)))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, list]:
    """Benchmark -> method, rows and files of each job, of a program that cannot read a test split."""
    folder = tmp_path_factory.mktemp("tuning")
    (folder / "kodak").mkdir()
    (folder / "photos").mkdir()
    for number in range(1, 25):
        (folder / "kodak" / f"kodim{number:02}.png").write_text("not to be read")
    rng = np.random.default_rng(0)
    for name in ("train_0", "train_1", "val_0"):
        PIL.Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / "photos" / f"{name}.png")
    common = ["Training.evaluate_on='validation'", "Training.outer_steps=2", "Training.test_signals=2"]
    grids = {name: [f"--gin_param={text}" for text in (*common, *more)] for name, more in TRAINED.items()}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TEST_SIGNALS, json.dumps(grids), str(folder / "runs")],
        cwd=records.REPOSITORY,
        env=os.environ | {"MSCN_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", TRAINED)
def test_rows_of_every_benchmark_can_be_of_the_validation_split(found, name):
    for _, rows, _ in found[name]:
        assert len({row["signal_id"] for row in rows}) == (23 if name == "fig7_rate_distortion" else 2)
        assert all(float(row["mse"]) > 0 for row in rows)


def test_tuning_for_kodak_reads_no_pixel_of_kodak_and_says_what_it_is_judged_on(found):
    assert [method for method, _, _ in found["fig7_rate_distortion"]] == ["mscn", "coin", "jpeg"]
    for _, rows, files in found["fig7_rate_distortion"]:
        assert {(row["dataset"], row["source"]) for row in rows} == {("cid22", "standin")}
        assert files == []


@pytest.mark.parametrize("name", TRAINED)
def test_preset_tuning_is_preset_quick_on_the_validation_split(build, name):
    tuned, quick = build(name, preset="tuning"), build(name, preset="quick", files=["gin/wide"])
    assert {job.split for job in tuned} == {"validation"}
    assert {job.split for job in quick} == {"test"}
    assert tuned[0].setup.learner == quick[0].setup.learner
    assert {path.stem for path in (cli.GIN / "tuning").iterdir()} == set(TRAINED)


@pytest.mark.parametrize(
    ("preset", "split", "says"),
    [
        ("smoke", "validation", "results of preset 'smoke' are of the test split; tune with --preset=tuning"),
        ("quick", "validation", "results of preset 'quick' are of the test split; tune with --preset=tuning"),
        ("tuning", "test", "results of preset 'tuning' are of the validation split; leave that to the preset"),
    ],
)
def test_splits_do_not_mix_in_a_folder(build, preset, split, says):
    jobs = build("fig7_rate_distortion", f"Training.evaluate_on='{split}'", preset=preset)
    with pytest.raises(ValueError, match=re.escape(says)):
        engine.run("fig7_rate_distortion", jobs)
    # A file format alone, too.
    with pytest.raises(ValueError, match=re.escape(says)):
        engine.run("fig7_rate_distortion", [job for job in jobs if job.method == "jpeg"])
