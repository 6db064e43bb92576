"""Novel views of test scenes, the original beside every method, and a turn around the first scene (GIF)."""

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

from benchmarks.figures import style, values
from benchmarks.figures.results import Drawn, Results


def draw(results: Results) -> Drawn:
    """A strip and a GIF for each data set of scenes whose values were kept."""
    drawn = {}
    for kept, original in values.kept(results):
        if original.dtype == np.uint8 or original.ndim != 4:
            continue
        drawn[f"novel_views_{kept.name}"] = _figure(kept, original)
        film = kept.load(f"mscn_{kept.budgets[-1]}_turntable")
        if film is not None:
            title = style.strip(f"{kept.dataset}\nMSCN, {kept.budgets[-1]} numbers", 240, 40)
            frames = [np.asarray(PIL.Image.fromarray(picture(frame)).resize((240, 240))) for frame in film]
            frames = [PIL.Image.fromarray(np.concatenate([title, frame])) for frame in frames]
            drawn[f"novel_views_{kept.name}_turntable.gif"] = frames
    return drawn


def picture(values_of: np.ndarray) -> np.ndarray:
    """8-bit picture [s, s, 3] of values [s^2, 3]."""
    side = round(len(values_of) ** 0.5)
    return np.rint(255 * np.clip(values_of.astype(float), 0, 1)).astype(np.uint8).reshape(side, side, 3)


def _figure(kept: values.Kept, original: np.ndarray) -> plt.Figure:
    columns = [(signal, view) for signal in range(len(original)) for view in range(min(2, original.shape[1]))]
    rows = [(None, None)] + [(method, budget) for method in kept.methods for budget in kept.budgets]
    size = 1.5 * len(columns) + 0.6, 1.62 * len(rows) + 0.8
    figure, axes = style.grid(len(rows), len(columns), *size)
    psnr = kept.rows.groupby(["method", "budget", "signal_id"])["psnr_db"].first()
    for line, (method, budget) in zip(axes, rows, strict=True):
        stored = original if method is None else kept.load(f"{method}_{budget}")
        for axis, (signal, view) in zip(line, columns, strict=True):
            style.bare(axis)
            if stored is not None:
                axis.imshow(picture(stored[signal, view]))
            if method is not None and view == 0:
                axis.set_xlabel(f"{psnr.get((method, budget, signal), np.nan):.1f} dB", fontsize=10, labelpad=2)
        name = "original" if method is None else f"{style.label(method)},\n{budget} numbers"
        line[0].set_ylabel(name, fontsize=10)
    for axis, (signal, view) in zip(axes[0], columns, strict=True):
        axis.set_title(f"scene {signal + 1}, view {view + 1}", fontsize=10)
    about = "views that were not given; PSNR is the scene's, over all its novel views"
    figure.suptitle(f"Novel views · {kept.title}\n{about}", fontsize=10)
    return figure
