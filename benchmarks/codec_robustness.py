"""What the decoder makes of damaged streams: a value error or an image, in little time and memory, never more."""

import time
import tracemalloc
import zlib

import gin
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import cli, records, runner
from mscn_flax import codec, data, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES
from mscn_flax.progress import Progress
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.stream import parse

NAME = "codec_robustness"

COLUMNS = ("experiment", "preset", "model", "checksum", "mutations", "refused", "decoded", "slowest_ms", "peak_kib")
COLUMNS += ("stream_bytes", "seed", "run_id")
"""One row a kind of model, checksums repaired or not. `peak_kib`: most memory that one stream made the decoder take."""

SIREN = Siren(depth=3, width=8, w0=20.0)
SIDE = 32


def _models() -> dict[str, model.Model]:
    """One of each kind; not trained, which no stream knows."""
    mask = np.zeros(SIREN.code_shape, bool)
    mask[:, :4] = True
    latent = LatentModulatedSiren(siren=SIREN, latent_dim=8, uniform_map=True)
    kinds = {
        "shared mask": (MetaLearner(field=SIREN, controller=BudgetController(budget=8)), mask),
        "a mask each": (MetaLearner(field=SIREN, controller=BudgetController(budget=8), adapt_gates=True), None),
        "latents": (MetaLearner(field=latent), np.ones(8, bool)),
    }
    images = data.load("photos", "train", resolution=SIDE)
    patches = np.stack([images[i] for i in range(64)])
    models = {}
    for name, (learner, shared) in kinds.items():
        theta = learner.init(jax.random.key(0), jnp.asarray(IMAGES.all_coordinates(SIDE)))
        coder = Coder(learner, jax.device_get(theta), shared, SIDE, 3, IMAGES)
        models[name] = model.fit(coder, coder.adapt(patches), 5)
    return models


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


@gin.configurable("robustness")
def robustness(preset: str = "custom", mutations: int = gin.REQUIRED, seed: int = 0) -> None:
    """Damages valid streams.

    Args:
      preset: name of the gin overlay, and of the folder of the results.
      mutations: streams, divided over the kinds of model, with and without a repaired checksum.
      seed: of the damage.
    """
    csv = cli.results_dir() / preset / f"{NAME}.csv"
    run_id = f"{NAME}-{mutations}-s{seed}"
    if cli.dry_run():
        print(f"{mutations} damaged streams")
        return
    if records.has(csv, run_id):
        print(f"{run_id}: done before")
        return
    began, commit = time.perf_counter(), records.commit()
    models = _models()
    rows, each = [], mutations // (2 * len(models))
    rng = np.random.default_rng(seed)
    with Progress(run_id, 2 * len(models) * each) as progress:
        for name, shared in models.items():
            image = rng.integers(0, 256, (SIDE, 3 * SIDE, 3)).astype(np.uint8)
            stream = codec.encode(shared, image)
            for repair in (False, True):
                outcome = _outcome(shared, stream, rng, repair, each, lambda done: progress.show(done, {}), len(rows))
                asked = {"experiment": NAME, "preset": preset, "model": name, "mutations": each, "seed": seed}
                asked["checksum"] = "repaired" if repair else "as it was"
                rows.append(asked | outcome | {"stream_bytes": len(stream), "run_id": run_id})
    records.add(
        csv,
        rows,
        COLUMNS,
        seed=seed,
        device=runner.device_name(),
        gin_text=gin.operative_config_str(),
        wall_s=time.perf_counter() - began,
        compile_s=0.0,
        commit=commit,
    )


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
            codes = codec.unpack(shared, parse(damaged))
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


def main() -> None:
    """As gin has it, its bindings scoped by `robustness`."""
    with gin.config_scope("robustness"):
        robustness()


if __name__ == "__main__":
    cli.run(main)
