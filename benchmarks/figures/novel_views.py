"""Novel views of test scenes, original beside Functa and MSCN, and a turn around the first scene (GIF)."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

from benchmarks.figures import style, values


def draw(results: pathlib.Path, plots: pathlib.Path, preset: str) -> list[pathlib.Path]:
    """Writes a strip and a GIF of each data set of scenes whose values were kept; returns the files."""
    written = []
    for kept in values.kept(results, preset, "original"):
        original = kept.load("original")
        if original.dtype == np.uint8 or original.ndim != 4:
            continue
        name = f"{kept.dataset}_{kept.source}"
        written += style.save(_figure(kept, original, preset), plots / preset, f"novel_views_{name}")
        film = kept.load(f"mscn_{kept.budgets[-1]}_turntable")
        if film is not None:
            path = plots / preset / f"novel_views_{name}_turntable.gif"
            frames = [PIL.Image.fromarray(picture(frame)).resize((192, 192)) for frame in film]
            style.save_film(frames, path)
            written.append(path)
    return written


def picture(values_of: np.ndarray) -> np.ndarray:
    """[s, s, 3] of 8 bits from values [s^2, 3]."""
    side = round(len(values_of) ** 0.5)
    return np.rint(255 * np.clip(values_of.astype(float), 0, 1)).astype(np.uint8).reshape(side, side, 3)


def _figure(kept: values.Kept, original: np.ndarray, preset: str) -> plt.Figure:
    views = min(2, original.shape[1])
    columns = [(signal, view) for signal in range(len(original)) for view in range(views)]
    rows = [(None, None)] + [(method, budget) for method in values.METHODS for budget in kept.budgets]
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(1.35 * len(columns) + 1.0, 1.35 * len(rows) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for row, (method, budget) in enumerate(rows):
        stored = original if method is None else kept.load(f"{method}_{budget}")
        for column, (signal, view) in enumerate(columns):
            axis = axes[row][column]
            axis.set_xticks([], [])
            axis.set_yticks([], [])
            axis.grid(False)
            if stored is not None:
                axis.imshow(picture(stored[signal, view]))
            if method is not None and view == 0:
                psnr = kept.quality(method, budget, signal, "psnr_db")
                axis.set_xlabel(f"{psnr:.1f} dB", fontsize=7, labelpad=2)
        axes[row][0].set_ylabel("original" if method is None else f"{style.METHOD_NAMES[method]}, {budget}", fontsize=8)
    figure.suptitle(f"{kept.title(preset)}\nviews not given; PSNR is the scene's, over all its novel views", fontsize=8)
    return figure
