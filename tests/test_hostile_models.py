"""Models from hostile hands: refused on loading in one line, or as harmless as any other."""

import json
import pathlib
import zlib

import numpy as np
import pytest

from benchmarks import hostile_models
from mscn_flax import codec, coder, model, stream

GOLDEN = pathlib.Path(__file__).parent / "golden"
KINDS = ("image", "map", "volume", "scene", "context", "overlap")


def _golden(kind: str) -> bytes:
    return (GOLDEN / f"{kind}.safetensors").read_bytes()


def _refused(path: pathlib.Path) -> str:
    """How a model is refused; nothing where it is not."""
    try:
        model.load_model(path)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_of_a_model_are_refused_in_one_line_or_decode(kind, tmp_path):
    rng, path, loaded = np.random.default_rng(KINDS.index(kind)), tmp_path / "m.safetensors", 0
    coded = (GOLDEN / f"{kind}.mscn").read_bytes()
    for _ in range(34):
        path.write_bytes(hostile_models.mutated(_golden(kind), rng))
        refusal = _refused(path)
        assert refusal.isprintable()
        if refusal:
            assert str(path) in refusal
            continue
        loaded += 1
        shared = model.load_model(path)
        assert "\x1b" not in shared.explain()
        body = coded[:4] + bytes.fromhex(shared.id)[:4] + coded[8:-4]
        try:
            signal = codec.decode(shared, body + zlib.crc32(body).to_bytes(4, "big"))
        except ValueError:
            continue
        assert np.isfinite(shared.coder.modality.values(signal)).all()
    assert 1 <= loaded <= 28


def test_a_good_model_is_not_refused_and_says_its_cost():
    for kind in KINDS:
        shared = model.load_model(GOLDEN / f"{kind}.safetensors")
        assert f"decoding   {shared.coder.flops:,} floating-point operations per" in shared.explain()


def test_a_scenes_cost_counts_the_points_of_its_rays():
    (architecture, _, _), shared = (
        hostile_models.parts(_golden("scene")),
        model.load_model(GOLDEN / "scene.safetensors"),
    )
    samples, width = architecture["field"]["camera"]["samples"], architecture["field"]["siren"]["width"]
    points = samples * shared.coder.side**2
    assert shared.coder.flops == points * (2 * (3 * width + width * width + 4 * width) + 2 * width)


def test_escapes_of_what_a_model_says_are_not_printed(tmp_path):
    architecture, tensors, metadata = hostile_models.parts(_golden("image"))
    metadata |= {"gin": "a = 1\x1b[2J\r\n\x9bb = 2", "trained_on": "x\x1b]0;title\x07"}
    (tmp_path / "m").write_bytes(hostile_models.sealed(json.dumps(architecture, sort_keys=True), tensors, metadata))
    said = model.load_model(tmp_path / "m").explain()
    assert all(line.isprintable() for line in said.split("\n"))
    assert "a = 1\\x1b[2J\n\\x9bb = 2" in said


def test_a_stream_of_few_bytes_that_would_take_hours_is_refused(monkeypatch):
    shared, data = model.load_model(GOLDEN / "image.safetensors"), (GOLDEN / "image.mscn").read_bytes()
    rows = stream.parse(data).parts
    monkeypatch.setattr(coder, "MAX_FLOPS", rows * shared.coder.flops - 1)
    with pytest.raises(ValueError, match="too large for this model"):
        codec.decode(shared, data)
    with pytest.raises(ValueError, match="too large for this model"):
        shared.coder.split(np.zeros((stream.parse(data).height, stream.parse(data).width, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("groups_float", "do not fit each other"),
        ("mask_float", "do not fit each other"),
        ("samples_20000", "samples_per_ray must be from 2 to 1024, is 20000"),
        ("steps_10_million", "steps must be from 1 to 1000, is 10000000"),
        ("theta_name_clash", "layer_00.kernel.x is missing, too many"),
        ("w0_zero", "w0 must be from 0.001 to 10000.0, is 0"),
        ("weights_nan", "needs finite values of type float32"),
    ],
)
def test_models_that_people_were_sent(name, says, field_files):
    path = field_files / "models" / f"{name}.safetensors"
    refusal = _refused(path)
    assert refusal.startswith(str(path))
    assert says in refusal
