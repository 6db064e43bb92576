"""What all rows of rate and distortion share, whatever coded the signal: a network, COIN or a file format."""

import io
import math

import numpy as np
import PIL.Image

from benchmarks import evaluation, records
from benchmarks.job import TrainingJob
from mscn_flax.modalities.values import array_to_targets

SHOWN = {14: (96, 160), 22: (160, 448)}
"""Kodak images of figure 7's strip, and the top left corner of the part shown."""

SHOWN_BPP = 0.6
"""Rate up to which pictures of file formats may stand beside those of networks in the strip."""

SHOWN_SIDE = 192
"""Pixels per side of that part."""


def test_signals(job: TrainingJob, limit: int | None) -> list[np.ndarray]:
    """The first `limit` signals that the job is judged on, all where None: 8-bit images [H, W, 3] or maps [H, W, 1]."""
    split = job.judged
    return [split[i] for i in range(min(len(split), limit or len(split)))]


def row(job: TrainingJob, index: int, signal: np.ndarray, values: np.ndarray, length: int, axes: int = 2) -> dict:
    """What every row has: distortion of values [N, C] and rate of so many bytes, per point of a signal's `axes`."""
    points = math.prod(signal.shape[:axes])
    return (
        dict.fromkeys(records.RATE_COLUMNS, "")
        | evaluation.common(job)
        | evaluation.distortion(values, array_to_targets(signal, axes))
        | {
            "outer_steps": job.stop_step,
            "signal_id": index,
            "pixels": points,
            "bytes": length,
            "bpp": f"{8 * length / points:.6g}",
        }
    )


def shown_part(job: TrainingJob, index: int, image: np.ndarray, label: str) -> dict[str, bytes]:
    """A file with the part of a decoded image that the strip shows; of Kodak alone."""
    if evaluation.judged_dataset(job) != "kodak" or not job.shown or index not in SHOWN:
        return {}
    top, left = SHOWN[index]
    picture = io.BytesIO()
    PIL.Image.fromarray(image[top : top + SHOWN_SIDE, left : left + SHOWN_SIDE]).save(picture, format="PNG")
    return {f"images/{index}_{label}.png": picture.getvalue()}
