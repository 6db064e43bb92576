"""The file of a model: its id, and what must not pass for one."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from mscn_flax import architecture, codec, model, shipped
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import MODALITIES
from mscn_flax.outer import OuterOptimizer
from mscn_flax.rendering import Camera
from mscn_flax.siren import Siren
from mscn_flax.train import Setup, Training
from mscn_flax.training import train_model

FILE = pathlib.Path(__file__).parent / "golden" / "image.safetensors"


@pytest.fixture(scope="module")
def mscn():
    return model.load_model(FILE)


def test_newer_attributes_leave_the_ids_of_models_as_they_were(mscn):
    described = json.loads(mscn.described)["field"]
    before = {"class", "depth", "width", "w0", "out_dim", "sine", "centred", "uniform_bias", "shift"}
    assert set(described) == before
    assert architecture.build(described | {"products": "bfloat16"}).matmul_dtype == "bfloat16"
    rounded = dataclasses.replace(mscn.coder.learner.field, matmul_dtype="bfloat16")
    assert architecture.describe(rounded)["products"] == "bfloat16"
    camera = Camera(samples_per_ray=8)
    assert architecture.describe(camera) == {"class": "Camera", "near": 0.8, "far": 1.8, "samples": 8}
    assert architecture.build(architecture.describe(camera)) == camera


def _rewrite(path, change):
    with safetensors.safe_open(path, framework="numpy") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(tensors, metadata)
    path.write_bytes(safetensors.numpy.save(tensors, metadata))


ALTERATIONS = {
    "a weight": (lambda t, m: t["theta.field.output.bias"].__setitem__(0, 9.0), "altered"),
    "a missing array": (lambda t, m: t.pop("tables"), "not a complete model"),
    "no excess at all": (lambda t, m: t.pop("excess_table"), "not a complete model"),
    "one range for all": (lambda t, m: t.update({"quantizer.low": t["quantizer.low"][:1]}), "not a complete model"),
    "a shape": (lambda t, m: t.update({"theta.field.output.bias": np.zeros(4, np.float32)}), "output.bias"),
    "another class": (lambda t, m: m.update(architecture=m["architecture"].replace('"Siren"', '"eval"')), "eval"),
    "a huge network": (
        lambda t, m: m.update(architecture=m["architecture"].replace('"depth": 3', '"depth": 900000')),
        "depth must be from 2 to 64, is 900000",
    ),
    "no format": (lambda t, m: m.pop("format"), "format"),
    "tables": (lambda t, m: t["tables"].__setitem__((0, 0), 7), "do not fit"),
    "tables of one axis": (lambda t, m: t.update(tables=t["tables"][0]), "do not fit"),
    "no excess": (lambda t, m: t["excess_table"].__setitem__(slice(2), [sum(t["excess_table"][:2]), 0]), "do not fit"),
    "an excess of nothing": (lambda t, m: t.update(excess_table=np.array([1 << 16], np.uint32)), "do not fit"),
    "an excess of two axes": (lambda t, m: t.update(excess_table=t["excess_table"][None]), "do not fit"),
    "no number": (lambda t, m: t["quantizer.low"].__setitem__(0, np.nan), "do not fit"),
    "no step": (lambda t, m: t["quantizer.step"].__setitem__(0, 0), "do not fit"),
    "a range too few": (lambda t, m: t.update({"quantizer.step": t["quantizer.step"][1:]}), "not a complete model"),
    "other numbers": (lambda t, m: t.update({"quantizer.low": t["quantizer.low"].astype(np.float64)}), "do not fit"),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_model_is_refused_in_one_line(mscn, name, tmp_path):
    path = tmp_path / "m.safetensors"
    mscn.save(path)
    change, message = ALTERATIONS[name]
    _rewrite(path, change)
    with pytest.raises(ValueError, match=message) as error:
        model.load_model(path)
    assert "\n" not in str(error.value)


def test_what_is_no_model_is_refused(mscn, tmp_path):
    with pytest.raises(ValueError, match="there is no model"):
        model.load_model(tmp_path / "absent")
    path = tmp_path / "m.safetensors"
    mscn.save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="whole safetensors"):
        model.load_model(path)


def test_the_id_covers_weights_mask_and_tables(mscn):
    coder = dataclasses.replace(mscn.coder, mask=np.roll(mscn.coder.mask, 1, axis=0))
    tables = mscn.tables.copy()
    tables[0, [tables[0].argmax(), tables[0].argmin()]] += np.array([-1, 1]).astype(np.uint32)
    others = [{"coder": coder}, {"tables": tables}, {"excess_table": np.roll(mscn.excess_table, 1)}]
    assert len({mscn.id, *(dataclasses.replace(mscn, **other).id for other in others)}) == 4


def test_what_no_file_could_bring_back_is_refused_before_it_is_trained_or_saved(mscn, tmp_path):
    field = DeltaSiren(Siren(depth=3, width=8, out_dim=3))
    coder = dataclasses.replace(mscn.coder, learner=MetaLearner(field))
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match="no DeltaSiren"):
        dataclasses.replace(mscn, coder=coder).save(path)
    assert not path.exists()
    setup = Setup(MetaLearner(Siren(out_dim=1)), OuterOptimizer(), Training(), MODALITIES["volume"], 192)
    with pytest.raises(ValueError, match="7,077,888 points of 512 units are more"):
        train_model(setup, [np.zeros((192, 192, 192, 1), np.float32)])


def test_paths_are_texts_or_paths_and_models_of_the_package_have_names(mscn, tmp_path):
    mscn.save(str(tmp_path / "m.safetensors"))
    assert model.load_model(str(tmp_path / "m.safetensors")).id == mscn.id
    assert model.load_model("photos_2").id == model.load_model(shipped.Shelf().file("photos_2")).id
    with pytest.raises(ValueError, match="there is no model photos_9"):
        model.load_model("photos_9")


def test_effort_is_a_number_of_steps(mscn):
    with pytest.raises(ValueError, match="effort is a number of steps, 0 or more, not -1"):
        codec.encode(mscn, np.zeros((8, 8, 3), np.uint8), -1)
