"""Pictures that are there without loss because their code would be longer."""

import io
import tracemalloc
import zlib

import numpy as np
import PIL.Image
import pytest
import rooms

from mscn_flax import codec, plain
from mscn_flax.modalities import IMAGES
from mscn_flax.stream import explain, facts, join, parse


@pytest.fixture(scope="module")
def shared():
    return rooms.model("image", numbers=15)


def _png(picture) -> int:
    file = io.BytesIO()
    PIL.Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return len(file.getvalue())


def _stripes(height, width):
    return np.broadcast_to(np.arange(width, dtype=np.uint8)[:, None] % 2 * 255, (height, width, 3)).copy()


@pytest.mark.parametrize(
    "picture",
    [
        np.full((300, 200, 3), 7, np.uint8),
        np.zeros((64, 900, 3), np.uint8),
        _stripes(160, 90),
        np.full((1, 40, 3), 200, np.uint8),
    ],
)
def test_a_flat_picture_costs_no_more_than_as_a_png_and_comes_back_exactly(shared, picture):
    data = codec.encode(shared, picture)
    assert parse(data).lossless
    assert len(data) < _png(picture)
    np.testing.assert_array_equal(codec.decode(None, data), picture)
    np.testing.assert_array_equal(codec.decode(shared, data), picture)
    assert facts(data)["lossless"]
    assert facts(data)["model"] is None
    assert "none: without loss" in explain(data)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8), (17, 30), (64, 64)])
@pytest.mark.parametrize("kind", ["noise", "grey", "flat"])
def test_whatever_is_shorter_is_in_the_stream(shared, shape, kind):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    picture = {"noise": picture, "grey": picture[..., :1].repeat(3, axis=2), "flat": np.full_like(picture, 9)}[kind]
    data = codec.encode(shared, picture)
    codes = codec.pack(shared, shared.coder.adapt(shared.coder.split(picture)), *shape)
    assert len(data) <= min(len(codes), _png(picture))
    assert parse(data).lossless == (len(data) < len(codes))


def test_the_work_ends_where_the_file_becomes_too_long():
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    whole = plain.encode(picture, 1 << 20)
    assert plain.encode(picture, len(whole)) is None
    assert plain.encode(picture, len(whole) + 1) == whole
    np.testing.assert_array_equal(plain.decode(whole, 40, 50), picture)


def _stream(payload, height, width, parts=0, modality=IMAGES):
    return join(modality, plain.MODEL_ID, height, width, parts, payload)


ROWS = zlib.compress(bytes(4 * (1 + 3 * 5)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_stream(ROWS, 4, 6), "not that of 4x6 pixels"),
        (_stream(ROWS, 3, 5), "not that of 3x5 pixels"),
        (_stream(ROWS[:-5], 4, 5), "not that of 4x5 pixels"),
        (_stream(ROWS + b"more", 4, 5), "not that of 4x5 pixels"),
        (_stream(b"\x00" * 20, 4, 5), "damaged"),
        (_stream(zlib.compress(b"\x09" * 64), 4, 5), "damaged"),
        (_stream(ROWS, 10_000, 10_000), "too many for its payload"),
        (_stream(ROWS, 4, 5, parts=1), "that needs no model"),
        (_stream(ROWS, 4, 5, modality=rooms.MODALITIES["map"]), "that needs no model"),
        (_stream(zlib.compress(bytes(1 << 24)), 4, 5), "not that of 4x5 pixels"),
    ],
)
def test_what_does_not_hold_just_so_many_pixels_is_refused_without_large_allocation(data, message):
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as raised:
        codec.decode(None, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(raised.value)
    assert peak < 1 << 20


def test_random_mutations_end_in_a_value_error_or_a_picture():
    rng, (height, width) = np.random.default_rng(0), (6, 9)
    whole = plain.encode(rng.integers(0, 256, (height, width, 3)).astype(np.uint8), 1 << 20)
    refused = 0
    for _ in range(300):
        body = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            body[rng.integers(len(body))] = rng.integers(256)
        # The sum at the end of zlib's data is the first to notice, if they can be unfolded.
        unfolding = zlib.decompressobj()
        try:
            rows = unfolding.decompress(bytes(body[:-4]))
            body[-4:] = zlib.adler32(rows).to_bytes(4, "big")
        except zlib.error:
            pass
        try:
            picture = codec.decode(None, _stream(bytes(body), height, width))
        except ValueError:
            refused += 1
        else:
            assert picture.shape == (height, width, 3)
    assert 0 < refused < 300


def test_what_needs_a_model_says_so_and_what_needs_none_takes_no_cameras(shared):
    data = codec.encode(shared, rooms.signal("image"))
    with pytest.raises(ValueError, match=f"needs model {shared.id[:8]}"):
        codec.decode(None, data)
    with pytest.raises(ValueError, match="cameras are for scenes"):
        codec.decode(None, _stream(ROWS, 4, 5), {"poses": np.zeros((1, 4, 4)), "intrinsics": np.ones(3)})
    assert codec.decode(None, _stream(ROWS, 4, 5)).shape == (4, 5, 3)
