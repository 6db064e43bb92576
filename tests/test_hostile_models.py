"""Models from hostile hands: refused on loading in one line, or as harmless as any other."""

import json
import pathlib
import zlib

import numpy as np
import pytest
import safetensors.numpy

from mscn_flax import codec, coder, model, stream

GOLDEN = pathlib.Path(__file__).parent / "golden"
KINDS = ("image", "map", "volume", "scene", "context", "overlap")
ODD = [None, True, False, -1, 0, 1, 2, 0.5, 10**9, 10**400, 1e308, float("nan"), float("inf"), "", "x\x1b[2J", [], {}]
NUMBERS = [np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, -1.0, 1e-40]
TYPES = [np.float64, np.float32, np.float16, np.int32, np.int64, np.uint32, np.uint8, bool]


def _parts(kind: str) -> tuple[dict, dict, dict]:
    """Architecture, tensors and metadata of a good model."""
    data = (GOLDEN / f"{kind}.safetensors").read_bytes()
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = head["__metadata__"]
    return json.loads(metadata["architecture"]), safetensors.numpy.load(data), metadata


def _sealed(architecture: str, tensors: dict, metadata: dict) -> bytes:
    """A model's file with the id of its content."""
    # One range for all coefficients has no axis, which a file cannot say.
    one = ("quantizer.low", "quantizer.step") if "transform.mean" in tensors else ()
    whole = {name: each.reshape(()) if name in one and each.size == 1 else each for name, each in tensors.items()}
    told = {"architecture": architecture, "id": model._digest(architecture, whole)}
    return safetensors.numpy.save(tensors, metadata | told)


def _odd_attribute(rng, architecture):
    """Another value of some attribute at any depth, or none, or one more."""
    parts, at = [architecture], 0
    while at < len(parts):
        parts += [value for value in parts[at].values() if isinstance(value, dict)]
        at += 1
    part = parts[rng.integers(len(parts))]
    name = sorted(part)[rng.integers(len(part))] if part and rng.random() < 0.9 else "more"
    if rng.random() < 0.1:
        part.pop(name, None)
    else:
        part[name] = ODD[rng.integers(len(ODD))]


def _odd_tensor(rng, tensors):
    """Another type, shape, value or name of a tensor, or none, or one more."""
    name = sorted(tensors)[rng.integers(len(tensors))]
    tensor, change = tensors[name].copy(), rng.integers(6)
    if change == 0:
        tensors[name] = tensor.astype(TYPES[rng.integers(len(TYPES))])
    elif change == 1:
        tensors[name] = [tensor[:-1], tensor[None], tensor.ravel(), tensor[:0], np.array([tensor])][rng.integers(5)]
    elif change == 2:
        with np.errstate(all="ignore"):
            tensor.ravel()[rng.integers(tensor.size)] = np.array(NUMBERS[rng.integers(8)]).astype(tensor.dtype)
        tensors[name] = tensor
    elif change == 3:
        tensors[f"{name}.x\x1b[2J"] = tensor
    elif change == 4:
        del tensors[name]
    else:
        tensors[name] = rng.permutation(tensor.ravel()).reshape(tensor.shape)


def _mutated(rng, kind: str) -> bytes:
    architecture, tensors, metadata = _parts(kind)
    for _ in range(rng.integers(1, 3)):
        _odd_attribute(rng, architecture) if rng.random() < 0.5 else _odd_tensor(rng, tensors)
    told = json.dumps(architecture, sort_keys=True)
    if rng.random() < 0.1:
        told = [told[: rng.integers(len(told))], "[" * 100_000, "{}", "[]", "null"][rng.integers(5)]
    with np.errstate(all="ignore"):
        data = bytearray(_sealed(told, tensors, metadata))
    if rng.random() < 0.1:
        data[rng.integers(len(data))] = rng.integers(256)
    return bytes(data[: rng.integers(len(data))] if rng.random() < 0.1 else data)


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
        path.write_bytes(_mutated(rng, kind))
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
    (architecture, _, _), shared = _parts("scene"), model.load_model(GOLDEN / "scene.safetensors")
    samples, width = architecture["field"]["camera"]["samples"], architecture["field"]["siren"]["width"]
    points = samples * shared.coder.side**2
    assert shared.coder.flops == points * (2 * (3 * width + width * width + 4 * width) + 2 * width)


def test_escapes_of_what_a_model_says_are_not_printed(tmp_path):
    architecture, tensors, metadata = _parts("image")
    metadata |= {"gin": "a = 1\x1b[2J\r\n\x9bb = 2", "trained_on": "x\x1b]0;title\x07"}
    (tmp_path / "m").write_bytes(_sealed(json.dumps(architecture, sort_keys=True), tensors, metadata))
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
