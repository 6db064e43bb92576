"""What the decoder makes of damaged streams and models: a value error or a signal, in little time and memory."""

import collections
import dataclasses
import functools
import pathlib
import tempfile
import time
import tracemalloc
import zlib

import gin
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import cli, grid, hostile_models
from benchmarks.job import Job
from benchmarks.run_folder import Result
from mscn_flax import codec, data, model, plain
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.data.made_up import random_map, random_scene, random_solid
from mscn_flax.fitting import fit_model, lattices_of
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES, MODALITIES, Modality, Signal
from mscn_flax.modalities.maps import to_unit
from mscn_flax.progress import Progress
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.stream import Stream, parse
from mscn_flax.transform import Transform

NAME, SCOPE = "codec_robustness", "robustness"

SIREN = Siren(depth=3, width=8, w0=20.0)
SIDE = 32
SIDES = {"map": 10, "volume": 8, "scene": 8}
"""Of signals other than pictures."""


def _kinds(rng: np.random.Generator) -> dict[str, tuple[model.Model, bytes]]:
    """A model and a stream of each kind; not trained, which no stream knows."""
    mask = np.zeros(SIREN.code_shape, bool)
    mask[:, :4] = True
    gated = {"field": SIREN, "controller": BudgetController(budget=8)}
    latent = LatentModulatedSiren(siren=SIREN, latent_dim=8, uniform_map=True)
    images = data.load("photos", "train", resolution=SIDE)
    patches = np.stack([images[i] for i in range(64)])
    pictures = {
        "shared mask": _coder(MetaLearner(**gated), mask, IMAGES, SIDE),
        "a mask each": _coder(MetaLearner(**gated, adapt_gates=True), None, IMAGES, SIDE),
        "latents": _coder(MetaLearner(field=latent), np.ones(8, bool), IMAGES, SIDE),
    }
    models = {name: fit_model(coder, coder.adapt(patches), 5) for name, coder in pictures.items()}
    noise = [rng.integers(0, 256, (SIDE, 3 * SIDE, 3)).astype(np.uint8) for _ in models]
    made = {name: (each, codec.encode(each, image)) for (name, each), image in zip(models.items(), noise, strict=True)}
    coder = dataclasses.replace(pictures["shared mask"], overlap=True)
    codes, fields = coder.adapt(patches), lattices_of(coder, [noise[0].reshape(3 * SIDE, SIDE, 3), *noise])
    shared = fit_model(coder, codes, 5, transform=Transform.of(coder, codes), fields=fields)
    made["in context"] = shared, codec.encode(shared, noise[0])
    made["no loss"] = shared, codec.encode(shared, np.full((SIDE, 3 * SIDE, 3), 7, np.uint8))
    for name, side in SIDES.items():
        modality = MODALITIES[name]
        signals = [_made_up(name, side, index) for index in range(30)]
        channels = modality.values(signals[0]).shape[-1] + modality.extra_channels
        siren = dataclasses.replace(SIREN, out_dim=channels)
        learner = MetaLearner(field=modality.field(siren), controller=BudgetController(budget=8))
        coder = _coder(learner, mask, modality, side)
        shared = fit_model(coder, np.concatenate([coder.adapt(coder.split(each)) for each in signals]), 5)
        made[modality.noun] = shared, codec.encode(shared, signals[0])
    return made


def _coder(learner: MetaLearner, mask: np.ndarray | None, modality: Modality, side: int) -> Coder:
    theta = learner.init(jax.random.key(0), jnp.asarray(modality.all_coordinates(side)))
    return Coder(learner, jax.device_get(theta), mask, side, 3, modality)


def _made_up(name: str, side: int, seed: int) -> Signal:
    rng = np.random.default_rng(seed)
    if name == "map":
        fields = [random_map(rng, (side, 2 * (side - 1)), degree=3) for _ in range(3)]
        return to_unit(np.stack(fields))[..., None]
    return random_solid(rng, side) if name == "volume" else random_scene(rng, side, 5)


def mutated(stream: bytes, rng: np.random.Generator, repair: bool) -> bytes:
    """A damaged stream: bytes changed, left out, put in or repeated; with a valid checksum if `repair`."""
    damaged = stream
    while damaged == stream:  # A byte may be changed to what it was.
        damaged = _damaged(stream, rng, repair)
    return damaged


def _damaged(stream: bytes, rng: np.random.Generator, repair: bool) -> bytes:
    body = bytearray(stream[:-4] if repair else stream)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(body))) if body else 0
        kind = rng.integers(6)
        if kind <= 2 and body:
            body[at] = rng.integers(256)
        elif kind == 3:
            del body[at : at + int(rng.integers(1, 9))]
        elif kind == 4:
            body[at:at] = rng.bytes(int(rng.integers(1, 9)))
        else:
            body[at:at] = body[at : at + int(rng.integers(1, 30))]
    return bytes(body) + zlib.crc32(bytes(body)).to_bytes(4, "big") if repair else bytes(body)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DamageJob(Job):
    """Damages valid streams.

    Attributes:
      mutations: number of streams, divided over the kinds of model and of signal, with and without a repaired checksum.
    """

    mutations: int

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{NAME}-{self.mutations}-s{self.seed}"

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        return (self.mutations,)

    def run(self) -> Result:
        """One row per kind of model, checksums repaired or not."""
        rng = np.random.default_rng(self.seed)
        kinds = _kinds(rng)
        rows, each = [], self.mutations // (2 * len(kinds))
        with Progress(self.id, 2 * len(kinds) * each) as progress:
            for name, (shared, stream) in kinds.items():
                for repair in (False, True):
                    shown = functools.partial(progress.show, values={})
                    outcome = _outcome(shared, stream, rng, repair, each, shown, len(rows))
                    asked = {"experiment": NAME, "preset": self.preset, "model": name, "mutations": each}
                    asked |= {"checksum": "repaired" if repair else "as it was", "seed": self.seed}
                    rows.append(asked | outcome | {"stream_bytes": len(stream), "run_id": self.id})
        return Result({"": rows})


class ModelJob(DamageJob):
    """Changes valid models; those that are not refused decode a stream."""

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{NAME}-models-{self.mutations}-s{self.seed}"

    def run(self) -> Result:
        """One row per kind of model."""
        rng = np.random.default_rng(self.seed)
        kinds = {name: made for name, made in _kinds(rng).items() if name != "no loss"}
        rows, each = [], -(-self.mutations // len(kinds))
        with Progress(self.id, len(kinds) * each) as progress, tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.safetensors"
            for name, (shared, coded) in kinds.items():
                shared.save(path)
                good, counts, slowest = path.read_bytes(), collections.Counter(), 0.0
                for _ in range(each):
                    path.write_bytes(hostile_models.mutated(good, rng))
                    began = time.perf_counter()
                    counts[_tried(path, coded)] += 1
                    slowest = max(slowest, time.perf_counter() - began)
                    progress.show(len(rows) * each + counts.total(), values={})
                asked = {"experiment": NAME, "preset": self.preset, "model": name, "mutations": each}
                asked |= {"checksum": "of a changed model", "seed": self.seed, "stream_bytes": len(coded)}
                found = {outcome: counts[outcome] for outcome in ("refused", "decoded")}
                measured = {"slowest_ms": f"{1e3 * slowest:.3g}", "peak_kib": ""}  # JAX's memory is not Python's.
                rows.append(asked | found | measured | {"run_id": self.id})
        return Result({"": rows})


def _tried(path: pathlib.Path, coded: bytes) -> str:
    """Whether a changed model, or a stream that names it, is refused or decoded."""
    try:
        shared = model.load_model(path)
        body = coded[:4] + bytes.fromhex(shared.id)[:4] + coded[8:-4]
        signal = codec.decode(shared, body + zlib.crc32(body).to_bytes(4, "big"))
    except ValueError as error:
        if not str(error).isprintable():
            raise AssertionError("a refusal is no plain line") from error
        return "refused"
    if not np.isfinite(shared.coder.modality.values(signal)).all():
        raise AssertionError("a changed model gave values that are not finite")
    return "decoded"


@gin.configurable("robustness")
def jobs(mutations: int = gin.REQUIRED, models: int = gin.REQUIRED, seed: int = 0) -> list[DamageJob]:
    """Two jobs: `mutations` of streams, and of `models`, as `DamageJob` has it, none of 0; `seed` of the damage."""
    common = {"benchmark": NAME, "preset": cli.preset(), "seed": seed}
    counts = {DamageJob: {"mutations": mutations}, ModelJob: {"models": models}}
    return [
        kind(**common, gin=grid.gin_text((SCOPE,), **count, seed=seed), mutations=sum(count.values()))
        for kind, count in counts.items()
        if any(count.values())
    ]


def _read(shared: model.Model, stream: Stream) -> np.ndarray:
    """The codes of a stream, or the pixels of a picture without loss."""
    if stream.lossless:
        return plain.decode(stream.payload, stream.height, stream.width)
    return codec.unpack(shared, stream)


def _outcome(shared, stream, rng, repair, count, show, before) -> dict:
    """Counts, the slowest decoding and the largest memory of `count` damaged streams."""
    refused = decoded = 0
    slowest = peak = 0.0
    tracemalloc.start()
    for index in range(count):
        damaged = mutated(stream, rng, repair)
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        began = time.perf_counter()
        try:
            # Rendering what has been decoded is the same for all streams of a size.
            codes = _read(shared, parse(damaged))
            if not np.isfinite(codes).all():
                raise AssertionError("a damaged stream gave a code that is not finite")
            decoded += 1
        except ValueError:
            refused += 1
        slowest = max(slowest, time.perf_counter() - began)
        peak = max(peak, tracemalloc.get_traced_memory()[1] - held)
        if index % 200 == 199:
            show(before * count + index + 1)
    tracemalloc.stop()
    return {
        "refused": refused,
        "decoded": decoded,
        "slowest_ms": f"{1e3 * slowest:.3g}",
        "peak_kib": f"{peak / 1024:.0f}",
    }


if __name__ == "__main__":
    cli.main(NAME)
