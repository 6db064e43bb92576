"""Another decoder, which was written from docs/bitstream.md, reads the golden streams as the package does."""

import dataclasses
import pathlib
import re
import subprocess
import sys
import zlib

import numpy as np
import numpy_decoder
import pytest

from mscn_flax import codec, entropy, model, plain
from mscn_flax.modalities import IMAGES, MODALITIES
from mscn_flax.modalities.cameras import turntable
from mscn_flax.stream import _varint, join, parse

TESTS = pathlib.Path(__file__).parent
GOLDEN = TESTS / "golden"
PAGE = (TESTS.parent / "docs" / "bitstream.md").read_text()
NAMES = sorted(path.stem for path in GOLDEN.glob("*.safetensors"))


@pytest.fixture(scope="module", params=NAMES)
def golden(request):
    """A stream, the other decoder's model, the package's, and what the stream decodes to."""
    path = GOLDEN / request.param
    with np.load(path.with_suffix(".npz")) as stored:
        decoded = stored["decoded"]
    file = path.with_suffix(".safetensors")
    return path.with_suffix(".mscn").read_bytes(), numpy_decoder.Model(file), model.load_model(file), decoded


def _sealed(body):
    return body + zlib.crc32(body).to_bytes(4, "big")


def _cameras(shared):
    """Those from which a golden scene was seen; None for other signals."""
    if shared.coder.modality.name != "scene":
        return None
    camera = shared.coder.learner.field.camera
    cameras = turntable(camera.near, camera.far, shared.coder.side)
    return cameras["poses"][:2], cameras["intrinsics"]


def _codes(read):
    """What `read` returns, or None where it refuses."""
    try:
        return read()
    except ValueError:
        return None


def _same(data, theirs, ours):
    """The codes of a stream, which both decoders read alike or both refuse; None then."""
    expected = _codes(lambda: codec.unpack(ours, parse(data)))
    found = _codes(lambda: numpy_decoder.codes(theirs, numpy_decoder.parse(data)))
    assert (found is None) == (expected is None)
    if found is not None:
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    return found


def test_its_codes_are_the_packages_to_the_last_bit(golden):
    data, theirs, ours, _ = golden
    assert _same(data, theirs, ours) is not None


def test_its_values_are_the_packages_up_to_rounding(golden):
    data, theirs, ours, decoded = golden
    values = numpy_decoder.decode(theirs, data, _cameras(ours))
    assert values.dtype == decoded.dtype
    atol = 1 if decoded.dtype == np.uint8 else 1e-4
    np.testing.assert_allclose(values.astype(np.float64), decoded.astype(np.float64), rtol=0, atol=atol)


def test_units_that_shift_their_own_layer_are_read_alike(tmp_path):
    plain_model = model.load_model(GOLDEN / "image.safetensors")
    coder = plain_model.coder
    field = dataclasses.replace(coder.learner.field, coordinate_free=3, coordinate_free_shift=True)
    learner = dataclasses.replace(coder.learner, field=field)
    theta, rng = dict(coder.theta), np.random.default_rng(0)
    kernel = rng.normal(size=(3, field.width - 3)).astype(np.float32)
    theta["field"] = theta["field"] | {"layer_00_free": {"kernel": 0.1 * kernel}}
    shared = dataclasses.replace(plain_model, coder=dataclasses.replace(coder, learner=learner, theta=theta))
    shared.save(tmp_path / "model.safetensors")
    ours, theirs = model.load_model(tmp_path / "model.safetensors"), numpy_decoder.Model(tmp_path / "model.safetensors")
    assert ours.id == shared.id != plain_model.id
    code = 0.05 * rng.normal(size=field.code_shape).astype(np.float32)
    values = ours.coder.render(code[None])[0]
    found = numpy_decoder.network(theirs, numpy_decoder.coordinates(theirs), code)
    np.testing.assert_allclose(found.reshape(values.shape), values, rtol=0, atol=1e-4)
    assert np.abs(values - coder.render(code[None])[0]).max() > 1e-2


@pytest.mark.parametrize("name", ["context", "latent", "map_context", "masks", "overlap"])
def test_golden_streams_have_levels_beyond_the_symbols(name):
    shared = model.load_model(GOLDEN / f"{name}.safetensors")
    stream = parse((GOLDEN / f"{name}.mscn").read_bytes())
    lattice = shared.coder.modality.lattice(stream.height, stream.width, stream.parts, shared.coder.side)
    assert lattice == {"context": (3, 4), "map_context": (5, 1), "overlap": (3, 4)}.get(name, (3, 2))
    columns = codec._columns(shared, codec.unpack(shared, stream), stream.height, stream.width)
    assert sum(column.any() for column, table in columns if len(table) == len(shared.excess_table))


def test_damage_is_seen_by_the_checksum(golden):
    data, theirs, _, _ = golden
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]):
            with pytest.raises(ValueError, match=r"no stream|truncated or altered"):
                numpy_decoder.decode(theirs, damaged)


def test_what_is_damaged_and_sealed_again_is_refused_where_the_package_refuses_it(golden):
    (data, theirs, ours, _), rng = golden, np.random.default_rng(0)
    body, head, stream, refused = data[:-4], data[:8], parse(data), 0
    for _ in range(60):
        payload = bytearray(stream.payload)
        for _ in range(rng.integers(1, 4)):
            payload[rng.integers(len(payload))] = rng.integers(256)
        payload = payload[: rng.integers(len(payload) + 1)] if rng.random() < 0.3 else payload
        payload += rng.bytes(rng.integers(1, 9)) if rng.random() < 0.2 else b""
        refused += _same(_sealed(body[: -len(stream.payload)] + bytes(payload)), theirs, ours) is None
    assert refused > 10

    def sized(*numbers):
        return _sealed(head + b"".join(map(_varint, numbers)) + stream.payload)

    height, width, parts = stream.height, stream.width, stream.parts
    for damaged in (
        _sealed(body[:2] + b"\x02" + body[3:]),
        _sealed(body[:3] + bytes([(body[3] + 1) % 4]) + body[4:]),
        _sealed(body[:3] + b"\x04" + body[4:]),
        _sealed(body[:4] + b"abcd" + body[8:]),
        _sealed(head + b"\xff" * 9),
        _sealed(head + bytes([height]) + b"\xff"),
        _sealed(body + b"\0"),
        _sealed(head + b"\x80" * 5 + bytes([1, width, parts]) + stream.payload),
        *(sized(*each, parts) for each in ((0, width), (height + 32, width), (height, width + 32), (1 << 14, 1 << 14))),
        *(sized(height, width, count) for count in (0, parts + 60, 1 << 30)),
    ):
        assert _same(damaged, theirs, ours) is None
    # A number may have more bytes than it needs.
    assert _same(_sealed(head + bytes([height | 0x80, 0]) + body[9:]), theirs, ours) is not None


def test_an_altered_model_is_refused(tmp_path):
    data = bytearray((GOLDEN / "context.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match="altered"):
        numpy_decoder.Model(tmp_path / "m.safetensors")


def test_a_model_whose_edges_do_not_ascend_is_refused_as_classes_would_depend_on_the_search(tmp_path):
    path, shared = tmp_path / "m.safetensors", model.load_model(GOLDEN / "context.safetensors")
    contexts = dataclasses.replace(shared.contexts, edges=shared.contexts.edges[::-1].copy())
    dataclasses.replace(shared, contexts=contexts).save(path)
    for load in (model.load_model, numpy_decoder.Model):
        with pytest.raises(ValueError, match=r"do not (fit|ascend)"):
            load(path)


def test_a_picture_without_loss_comes_back_exactly():
    with np.load(GOLDEN / "lossless.npz") as stored:
        decoded = stored["decoded"]
    data = (GOLDEN / "lossless.mscn").read_bytes()
    np.testing.assert_array_equal(numpy_decoder.decode(None, data), decoded)
    np.testing.assert_array_equal(codec.decode(None, data), decoded)


def test_every_filter_of_a_row_is_undone_and_what_is_no_picture_refused():
    rng, height, width = np.random.default_rng(0), 40, 7
    rows = rng.integers(0, 256, (height, 1 + 3 * width)).astype(np.uint8)
    rows[:, 0] = np.arange(height) % 5

    def stream(payload, parts=0, modality=IMAGES):
        return join(modality, plain.MODEL_ID, height, width, parts, payload)

    packed = zlib.compress(rows.tobytes())
    np.testing.assert_array_equal(numpy_decoder.decode(None, stream(packed)), codec.decode(None, stream(packed)))
    rows[3, 0] = 5
    others = (packed[:-3], packed + b"x", packed[:9] + b"?" + packed[10:], zlib.compress(rows.tobytes()))
    others += (zlib.compress(rows.tobytes()[:-1]), zlib.compress(rows.tobytes() + b"\0"))
    for damaged in (*map(stream, others), stream(packed, parts=1), stream(packed, modality=MODALITIES["map"])):
        for decode in (codec.decode, numpy_decoder.decode):
            with pytest.raises(ValueError, match=r"."):
                decode(None, damaged)


@pytest.mark.parametrize("seed", range(10))
def test_its_range_decoder_reads_what_the_packages_encoder_writes_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    tables = entropy.frequencies(rng.random((6, int(rng.integers(2, 300)))) ** rng.integers(1, 40))
    columns = [rng.choice(len(table), rng.integers(60), p=table / entropy.TOTAL) for table in tables]
    # Rare symbols at the end of the interval, where the coder does not know its last words until later.
    columns[seed % 6] = np.full(30, len(tables[0]) - 1)
    payload = entropy.encode(columns, list(tables))

    def read(data, decoder):
        found = [decoder.read(len(column), table) for column, table in zip(columns, tables, strict=True)]
        decoder.close()
        return np.concatenate(found)

    np.testing.assert_array_equal(read(payload, numpy_decoder.RangeDecoder(payload)), np.concatenate(columns))
    others = [payload[:at] for at in range(len(payload))] + [payload + bytes(count) for count in range(1, 10)]
    others += [(int.from_bytes(payload, "big") + more).to_bytes(len(payload) + 1, "big")[1:] for more in (-1, 1)]
    others += [payload[:at] + rng.bytes(len(payload) - at) for at in range(len(payload))]
    for other in others:
        expected = _codes(lambda: read(other, entropy.Decoder(other)))  # noqa: B023
        found = _codes(lambda: read(other, numpy_decoder.RangeDecoder(other)))  # noqa: B023
        np.testing.assert_array_equal(found, expected)


def test_the_pages_examples_are_right():
    numbers = r"\| `([0-9a-f]{16})` \| `([0-9a-f]{16})` \| (?:`([0-9a-f]+)` )?\| (?:(\d+) )?\| (?:(\d+) )?\|"
    rows = re.findall(numbers, PAGE)
    table, payload = re.search(r"The table is ([\d, ]+) and the payload `(\w+)`", PAGE).groups()
    table, payload = [int(number) for number in table.split(",")], bytes.fromhex(payload)
    symbols = [int(row[4]) for row in rows if row[4]]
    assert len(symbols) == len(rows) - 1 == 8
    assert entropy.encode([np.array(symbols)], [np.array(table, np.uint32)]) == payload
    decoder = numpy_decoder.RangeDecoder(payload)
    for offset, width, unit, share, symbol in rows:
        assert (decoder.offset, decoder.range) == (int(offset, 16), int(width, 16))
        if symbol:
            assert int(unit, 16) == (decoder.range >> 24) * 256
            assert int(share) == decoder.offset // int(unit, 16)
            assert decoder.read(1, table) == int(symbol)
    decoder.close()
    fields = re.findall(r"^\| `([0-9a-f]+)` \| \w+ \|", PAGE, re.MULTILINE)
    assert "".join(fields) == (GOLDEN / "image.mscn").read_bytes().hex()


def test_it_needs_neither_the_package_nor_what_the_package_needs():
    script = "import numpy_decoder, sys; print({name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=TESTS, check=True, capture_output=True, text=True)
    assert "'numpy'" in done.stdout
    assert not {f"'{name}'" for name in ("jax", "flax", "mscn_flax", "constriction", "scipy", "PIL")} & set(
        re.findall(r"'\w+'", done.stdout)
    )
