"""The codec: streams, and what must not pass for one."""

import dataclasses
import pathlib
import subprocess
import sys
import tracemalloc
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax import codec, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.fitting import fit_model, lattices_of
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.stream import _varint, parse
from mscn_flax.transform import Transform

SIREN = Siren(depth=3, width=8, w0=20.0)
SIDE = 8
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def _coder(field, mask, side=SIDE, steps=3, **options):
    learner = MetaLearner(field=field, inner_lr_range=(1.0, 3.0), **options)
    theta = learner.init(jax.random.key(0), jnp.asarray(IMAGES.all_coordinates(side)))
    return Coder(learner, jax.device_get(theta), mask, side, steps, IMAGES)


def _patches(count=40, seed=0):
    rng = np.random.default_rng(seed)
    ramps = rng.uniform(0, 255, (count, 1, 1, 3)) + rng.uniform(-15, 15, (count, 1, 1, 3)) * np.arange(SIDE)[:, None]
    return np.clip(ramps + np.zeros((1, SIDE, SIDE, 1)), 0, 255).astype(np.uint8)


def _mscn():
    mask = np.zeros(SIREN.code_shape, bool)
    mask[0, :5] = mask[1, 2:4] = True
    return _coder(SIREN, mask, controller=BudgetController(budget=7))


def _own_masks():
    return _coder(SIREN, None, controller=BudgetController(budget=5), adapt_gates=True, gate_inner_lr=1e5)


def _coin_pp():
    field = LatentModulatedSiren(siren=SIREN, latent_dim=6, uniform_map=True)
    return _coder(field, np.ones(6, bool), meta_sgd=False)


CODERS = {"mscn": _mscn, "own_masks": _own_masks, "coin_pp": _coin_pp}


def _in_context(coder, **options):
    """A model with a transform and contexts, the latter fitted to pictures of several patches."""
    codes = coder.adapt(_patches())
    fields = lattices_of(coder, [_image((24, 32), seed) for seed in range(4)])
    coder = dataclasses.replace(coder, overlap=True, refined=2)
    return fit_model(coder, codes, 5, transform=Transform.of(coder, codes), fields=fields, **options)


@pytest.fixture(scope="module", params=[*CODERS, "mscn in context", "coin_pp in context"])
def shared(request):
    coder = CODERS[request.param.split()[0]]()
    if "context" in request.param:
        return _in_context(coder, gin="# text", trained_on="ramps")
    return fit_model(coder, coder.adapt(_patches()), 5, gin="# text", trained_on="ramps")


def _coefficients(shared, codes):
    """What the quantiser of a model sees of codes [P, n]."""
    return codes if shared.transform is None else shared.transform.forward(codes)


@pytest.fixture(scope="module")
def mscn():
    coder = _mscn()
    return fit_model(coder, coder.adapt(_patches()), 5)


def _image(shape=(20, 13), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (20, 13), (40, 41)])
def test_a_fresh_process_decodes_the_encoders_own_reconstruction(shared, shape, tmp_path):
    data = codec.encode(shared, _image(shape))
    image = codec.decode(shared, data)
    assert image.shape == (*shape, 3)
    np.testing.assert_array_equal(codec.decode(shared, data), image)
    if shape != (20, 13):
        return
    shared.save(tmp_path / "m.safetensors")
    (tmp_path / "s.mscn").write_bytes(data)
    script = (
        "import sys, pathlib, numpy as np; from mscn_flax import codec, model; folder = pathlib.Path(sys.argv[1]); "
        "image = codec.decode(model.load_model(folder / 'm.safetensors'), (folder / 's.mscn').read_bytes()); "
        "np.save(folder / 'image.npy', image)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=REPOSITORY)
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), image)


def test_coded_bytes_are_the_header_and_within_three_bytes_of_the_estimate(shared):
    for shape in ((8, 8), (20, 13), (40, 41)):
        codes = shared.coder.adapt(shared.coder.split(_image(shape)))
        data, estimate = codec.pack_with_estimate(shared, codes, *shape)
        stream = parse(data)
        assert len(data) == stream.header_bytes + len(stream.payload)
        assert abs(len(stream.payload) - estimate / 8) < 3
        assert stream.header_bytes <= 18


def test_decoded_codes_are_the_quantised_ones(shared):
    codes = shared.coder.adapt(shared.coder.split(_image()))
    seen = codec.unpack(shared, parse(codec.pack(shared, codes, 20, 13)))
    quantised = shared.values(shared.levels(codes))
    codes, seen = (array.reshape(len(codes), -1)[:, shared.coder.stored] for array in (codes, seen))
    kept = codes != 0 if shared.coder.mask is None else np.ones(codes.shape, bool)
    np.testing.assert_array_equal(seen, np.where(kept, quantised, 0))
    near = kept & (np.abs(codes) < 2 * codes[kept].std())
    codes, seen = _coefficients(shared, codes), _coefficients(shared, seen)
    assert (np.abs(seen - codes) / shared.quantizer.step)[near].max() <= 0.5 * 1.01


def test_codes_far_outside_of_the_training_ones_lose_no_more_than_half_a_step(shared):
    codes = 5 * shared.coder.adapt(_patches(12, seed=3))
    data, estimate = codec.pack_with_estimate(shared, codes, 4 * SIDE, 3 * SIDE)
    stream = parse(data)
    assert abs(len(stream.payload) - estimate / 8) < 3
    codes, seen = (array.reshape(12, -1)[:, shared.coder.stored] for array in (codes, codec.unpack(shared, stream)))
    kept = codes != 0
    codes, seen = _coefficients(shared, codes), _coefficients(shared, seen)
    # Of a transform the first coefficients alone are as large as its only range.
    assert (shared.quantizer.split(shared.quantizer.quantize(codes))[1] > 0).mean() > (0.05 if kept.ndim else 0)
    assert (np.abs(seen - codes) / shared.quantizer.step)[kept].max() <= 0.5 * 1.01


def test_a_picture_of_many_megapixels_comes_back():
    field = LatentModulatedSiren(siren=SIREN, latent_dim=64, uniform_map=True)
    coder = _coder(field, np.ones(64, bool), side=32, steps=1, meta_sgd=False)
    coarse = np.random.default_rng(0).integers(0, 256, (159, 189, 3)).astype(np.uint8)
    image = coarse.repeat(16, axis=0).repeat(16, axis=1)  # 7.7 megapixels
    patches = coder.split(image)[-40:]
    shared = fit_model(coder, coder.adapt(patches), 5)
    # Its pixels, all in blocks, would be shorter than its codes.
    data = codec.pack(shared, coder.adapt(coder.split(image)), *image.shape[:2])
    codes = codec.unpack(shared, parse(data))
    assert len(codes) == 80 * 95
    assert np.abs(codes[-40:] - coder.adapt(patches)).max() <= shared.quantizer.step.max()
    decoded = codec.decode(shared, data)
    assert decoded.shape == image.shape
    last = coder.render(codes[-1:], finish=IMAGES.stored).reshape(32, 32, 3)[:16, :16]
    np.testing.assert_allclose(decoded[-16:, -16:].astype(int), last, atol=1)


def test_a_patch_codes_alike_alone_and_among_others(mscn):
    images = [_image((8, 8), seed) for seed in range(20)]
    together = mscn.coder.adapt(np.stack(images))
    for image, code in zip(images, together, strict=True):
        np.testing.assert_allclose(mscn.coder.adapt(image[None])[0], code, atol=1e-4)


def test_encoding_many_images_compiles_once(mscn, caplog):
    codec.decode(mscn, codec.encode(mscn, _image((40, 40))))
    with jax.log_compiles(True):
        for shape in ((40, 41), (33, 50), (64, 64)):
            codec.decode(mscn, codec.encode(mscn, _image(shape)))
    assert not [record for record in caplog.records if "Finished XLA compilation" in record.message]


@pytest.mark.parametrize("image", [np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)])
def test_what_is_no_rgb_image_is_refused(mscn, image):
    with pytest.raises(ValueError, match="need"):
        codec.encode(mscn, image)


def _sealed(body):
    return body + zlib.crc32(body).to_bytes(4, "big")


def _corrupted(mscn):
    data = codec.encode(mscn, _image())
    head = data[:8]
    huge = _varint(1 << 16) + _varint(1 << 15)
    large = _varint(4096) + _varint(4096)
    return {
        "empty": (b"", "not an MSCN stream"),
        "foreign": (b"\x89PNG" + data, "not an MSCN stream"),
        "truncated": (data[:-3], "truncated or altered"),
        "altered": (data[:20] + bytes([data[20] ^ 1]) + data[21:], "truncated or altered"),
        "version": (_sealed(data[:2] + b"\x09" + data[3:-4]), "version 9"),
        "other model": (_sealed(data[:4] + b"abcd" + data[8:-4]), "needs model"),
        "2^31 pixels": (_sealed(head + huge + _varint(1 << 25) + data[11:-4]), "claims"),
        "2^24 pixels": (_sealed(head + large + _varint(1 << 18) + data[11:-4]), "too many for its payload"),
        "patches": (_sealed(head + data[8:10] + b"\x07" + data[11:-4]), "patches"),
        "endless number": (_sealed(head + b"\xff" * 30), "without end"),
        "no pixels": (_sealed(head + b"\x00\x00\x00" + data[11:-4]), "claims"),
        "too long": (_sealed(data[:-4] + bytes(40)), "goes on"),
    }


CASES = "empty, foreign, truncated, altered, version, other model, 2^31 pixels, 2^24 pixels, patches, endless number"


@pytest.mark.parametrize("name", [*CASES.split(", "), "no pixels", "too long"])
def test_what_is_no_stream_of_the_model_ends_in_one_line_without_large_allocation(mscn, name):
    data, message = _corrupted(mscn)[name]
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as error:
        codec.decode(mscn, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert peak < 1 << 20


def test_random_mutations_end_in_a_value_error_or_an_image(shared):
    rng = np.random.default_rng(0)
    data = codec.encode(shared, _image())
    for _ in range(500):
        body = bytearray(data[:-4])
        for _ in range(rng.integers(1, 4)):
            body[rng.integers(len(body))] = rng.integers(256)
        if rng.random() < 0.3:
            del body[rng.integers(4, len(body)) :]
        try:
            codes = codec.unpack(shared, parse(_sealed(bytes(body))))
        except ValueError:
            continue
        assert np.isfinite(codes).all()


def test_a_saved_model_is_the_same_model(shared, tmp_path):
    path = tmp_path / "m.safetensors"
    shared.save(path)
    loaded = model.load_model(path)
    assert loaded.id == shared.id
    assert loaded.gin == "# text"
    assert "ramps" in loaded.explain()
    assert not list(tmp_path.glob(".*"))
    data = codec.encode(loaded, _image())
    np.testing.assert_array_equal(codec.decode(shared, data), codec.decode(loaded, data))


def test_codes_that_are_not_finite_are_refused(shared):
    codes = shared.coder.adapt(_patches(12)).copy()
    codes[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        codec.pack(shared, codes, 4 * SIDE, 3 * SIDE)


@pytest.mark.parametrize("bits", [1, 9])
def test_few_and_many_bits_code_what_lies_outside(bits):
    coder = _mscn()
    codes = coder.adapt(_patches())
    shared = fit_model(coder, codes, bits)
    far = codec.unpack(shared, parse(codec.pack(shared, 2 * codes, 5 * SIDE, 8 * SIDE)))
    errors = np.abs(far - 2 * codes).reshape(40, -1)[:, coder.stored]
    assert (errors / shared.quantizer.step).max() <= 0.5 * 1.01
