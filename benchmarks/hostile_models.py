"""Models from hostile hands: files whose content is odd, and whose id is that of their content."""

import json

import numpy as np
import safetensors.numpy

from mscn_flax import model

ODD = [None, True, False, -1, 0, 1, 2, 0.5, 10**9, 10**400, 1e308, float("nan"), float("inf"), "", "x\x1b[2J", [], {}]
NUMBERS = [np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, -1.0, 1e-40]
TYPES = [np.float64, np.float32, np.float16, np.int32, np.int64, np.uint32, np.uint8, bool]


def parts(data: bytes) -> tuple[dict, dict, dict]:
    """Architecture, tensors and metadata of a good model's file."""
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = head["__metadata__"]
    return json.loads(metadata["architecture"]), safetensors.numpy.load(data), metadata


def sealed(architecture: str, tensors: dict, metadata: dict) -> bytes:
    """A model's file with the id of its content."""
    # One range for all coefficients has no axis, which a file cannot say.
    one = ("quantizer.low", "quantizer.step") if "transform.mean" in tensors else ()
    whole = {name: each.reshape(()) if name in one and each.size == 1 else each for name, each in tensors.items()}
    told = {"architecture": architecture, "id": model.digest(architecture, whole)}
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


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A good model's file with odd attributes and tensors, and sometimes damaged besides."""
    architecture, tensors, metadata = parts(data)
    for _ in range(rng.integers(1, 3)):
        _odd_attribute(rng, architecture) if rng.random() < 0.5 else _odd_tensor(rng, tensors)
    told = json.dumps(architecture, sort_keys=True)
    if rng.random() < 0.1:
        told = [told[: rng.integers(len(told))], "[" * 100_000, "{}", "[]", "null"][rng.integers(5)]
    with np.errstate(all="ignore"):
        changed = bytearray(sealed(told, tensors, metadata))
    if rng.random() < 0.1:
        changed[rng.integers(len(changed))] = rng.integers(256)
    return bytes(changed[: rng.integers(len(changed))] if rng.random() < 0.1 else changed)
