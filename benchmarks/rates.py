"""What all rows of rate and distortion share, whatever coded the signal: a network, COIN or a file format."""

import numpy as np
import PIL.Image

from benchmarks import evaluation, records
from benchmarks.cell import Cell
from mscn_flax.atomic import replaced
from mscn_flax.modalities.values import array_to_targets

SHOWN = {14: (96, 160), 22: (160, 448)}
"""Kodak images of figure 7's strip, and the top left corner of the part shown."""

SHOWN_BITS, SHOWN_BPP = 5, 0.6
"""Bits a modulation of the networks in the strip, and the rate up to which file formats may stand beside them."""

SHOWN_SIDE = 192
"""Pixels a side of that part."""


def test_signals(cell: Cell, limit: int | None) -> list[np.ndarray]:
    """The first `limit` test signals: images [H, W, 3] of 8 bits, or maps [H, W, 1]; all where None."""
    split = cell.signals["test"]
    return [split[i] for i in range(min(len(split), limit or len(split)))]


def row(cell: Cell, index: int, signal: np.ndarray, values: np.ndarray, length: int) -> dict:
    """What every row has: distortion of values [N, C] and rate of so many bytes, a pixel or a point of the map."""
    points = signal.shape[0] * signal.shape[1]
    return (
        dict.fromkeys(records.RATE_COLUMNS, "")
        | evaluation.common(cell)
        | evaluation.distortion(values, array_to_targets(signal, 2))
        | {
            "outer_steps": cell.stop_step,
            "signal_id": index,
            "pixels": points,
            "bytes": length,
            "bpp": f"{8 * length / points:.6g}",
        }
    )


def keep_part(cell: Cell, index: int, image: np.ndarray, label: str) -> None:
    """Keeps the part of a decoded image that the strip shows; of Kodak and the first seed alone."""
    if cell.dataset != "kodak" or cell.seed or index not in SHOWN:
        return
    top, left = SHOWN[index]
    path = cell.csv.parent / f"{cell.experiment}_images" / f"{index}_{label}.png"
    with replaced(path, "wb") as out:
        PIL.Image.fromarray(image[top : top + SHOWN_SIDE, left : left + SHOWN_SIDE]).save(out, format="PNG")
