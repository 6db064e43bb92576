"""Rates of the file formats of `codecs.py`, on the signals that the networks are tested on."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import time

import numpy as np

from benchmarks import cli, codecs, rates
from benchmarks.ids import digests_of_own_code
from benchmarks.job import Job, judged_on
from benchmarks.looks import Look
from benchmarks.run_folder import Result
from mscn_flax import configuration, cores, data
from mscn_flax.modalities.values import array_to_targets
from mscn_flax.progress import Progress
from mscn_flax.train import Training

_LEVELS = 65535
"""Of a map in a file: 0 and 1 are the extremes of the training set, what lies outside is clipped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecJob(Job):
    """A file format on the signals of one data set.

    Attributes:
      dataset: a key of `data.DATA_SETS`.
      resolution: pixels or latitudes per side.
      method: a key of `codecs.CODECS`.
      limit: number of signals; None for all.
      split: see `Job.split`.
    """

    dataset: str
    resolution: int
    method: str
    limit: int | None
    split: str = "test"

    stop_step = ""
    """A file format is not trained."""

    @property
    def judged(self) -> data.Signals:
        """The signals that are coded."""
        return data.load(self.dataset, self.split, resolution=self.resolution)

    @property
    def look(self) -> Look | None:
        """See `Job.look`."""
        return codecs.CODECS[self.method].look

    @property
    def data(self) -> str:
        """See `Job.data`."""
        return judged_on(self.judged, self.limit)

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        return f"{self.dataset}-{self.judged.source}-{self.method}-s0"

    def describe(self) -> str:
        """See `Job.describe`."""
        return f"{self.method} at {codecs.CODECS[self.method].settings} on {self.dataset}"

    @property
    def text(self) -> str:
        """What is measured, by which programs: all that decides the rows."""
        codec = codecs.CODECS[self.method]
        revision = f" (options {codec.revision})" if codec.revision > 1 else ""
        noun = f"{data.DATA_SETS[self.dataset].modality.name}s"
        count = min(len(self.judged), self.limit or len(self.judged))
        usual = data.DATA_SETS[self.dataset].resolution
        at = "" if self.resolution == usual else f" at resolution {self.resolution}"
        signals = f"the first {count} {self.split} {noun}{at}"
        return f"{self.method}{revision}: {codec.settings}, {signals}, {codecs.versions()}"

    @property
    def digest(self) -> str:
        """See `Job.digest`."""
        codec = codecs.CODECS[self.method]
        own = digests_of_own_code(data.DATA_SETS[self.dataset].reader, codec.encoder, codec.decoder)
        return hashlib.sha256("".join((self.text, *own)).encode()).hexdigest()[:8]

    def run(self) -> Result:
        """One row per signal and setting."""
        tested, rows, files = rates.test_signals(self, self.limit), [], {}
        for index, signal in enumerate(tested):
            files |= rates.shown_part(self, index, signal, "original")
        # Pillow and imagecodecs let other threads run while they code.
        with (
            Progress(self.id, len(tested)) as progress,
            concurrent.futures.ThreadPoolExecutor(len(cores.available())) as pool,
        ):
            coded = pool.map(functools.partial(_coded, self), range(len(tested)), tested)
            for done, (of_signal, shown) in enumerate(coded, start=1):
                rows, files = rows + of_signal, files | shown
                progress.show(done, {})
        return Result({"": rows}, files, {"gin": self.text})


def jobs(benchmark: str, scope: str, asked: str, dataset: str, resolution: int, names: list[str]) -> list[CodecJob]:
    """The file formats of some names whose programs are here; the others are said to be left out."""
    made = []
    for name in names:
        if missing := codecs.CODECS[name].missing():
            print(f"left out: {missing}")
            continue
        with configuration.scope(scope, asked, name):
            training = Training()
        made.append(
            CodecJob(
                benchmark=benchmark,
                preset=cli.preset(),
                dataset=dataset,
                resolution=resolution,
                method=name,
                limit=training.test_signals,
                split=training.evaluate_on,
            )
        )
    return made


def _coded(job: CodecJob, index: int, signal: np.ndarray) -> tuple[list[dict], dict[str, bytes]]:
    """One row per setting, and the parts that figure 7's strip shows; a map is coded with 16 bits per value."""
    codec, image, rows, files = codecs.CODECS[job.method], _as_image(signal), [], {}
    for setting in codec.settings:
        began = time.perf_counter()
        file = codec.encode(image, setting)
        encoded = time.perf_counter()
        decoded = codec.decode(file)
        done = time.perf_counter()
        values, payload = _as_values(decoded), codec.payload(file)
        rows.append(
            rates.row(job, index, signal, values, len(file))
            | {
                "budget": setting,
                "budget_unit": codec.unit,
                "bpp_payload": "" if payload is None else f"{8 * payload / (image.shape[0] * image.shape[1]):.6g}",
                "encode_s": f"{encoded - began:.3g}",
                "decode_s": f"{done - encoded:.3g}",
            }
        )
        if codec.name in ("jpeg", "jpeg2000") and float(rows[-1]["bpp"]) <= rates.SHOWN_BPP:
            files |= rates.shown_part(job, index, decoded, f"{codec.name}_{setting:g}")
    return rows, files


def _as_image(signal: np.ndarray) -> np.ndarray:
    """An image as it is, a map as 16-bit grey."""
    if signal.dtype == np.uint8:
        return signal
    return np.rint(np.clip(signal, 0, 1) * _LEVELS).astype(np.uint16)


def _as_values(image: np.ndarray) -> np.ndarray:
    """Values [N, C] of a decoded file."""
    if image.dtype == np.uint16:
        image = image.astype(np.float32) / np.float32(_LEVELS)
    return array_to_targets(image, 2)
