"""How every figure looks: one place for fonts, greys and file formats."""

import io
import logging
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import PIL.Image
import seaborn as sns

from benchmarks import records

METHOD_NAMES = {
    "mscn": "MSCN",
    "functa": "Functa",
    "mscn_meta_sgd": "MSCN, MetaSGD",
    "mscn_fixed_lr": "MSCN, fixed rate",
    "mscn_sparse_final": "MSCN, sparse network",
    "meta_sparse_inr": "MetaSparseINR",
    "random_pruning": "random pruning",
    "dense_narrow": "dense, narrow",
    "maml_one_shot": "MAML + OneShot",
    "maml_imp": "MAML + IMP",
    "scratch": "scratch",
    "coin_pp": "COIN++",
    "coin_pp_reference": "COIN++, rate of its code",
    "coin": "COIN",
    "jpeg": "JPEG",
    "jpeg2000": "JPEG 2000",
    "webp": "WebP",
    "avif": "AVIF",
    "jpeg_xl": "JPEG XL",
    "bpg": "BPG",
}
"""`method` column -> name in figures and tables."""

METHOD_STYLES = {
    # Line style and marker differ too, and the colours differ in lightness: legible in grey.
    "mscn": {"color": "#08306b", "linestyle": "-", "marker": "o"},
    "functa": {"color": "#fc8d59", "linestyle": "--", "marker": "s"},
    "mscn_meta_sgd": {"color": "#08306b", "linestyle": "-", "marker": "o"},
    "mscn_fixed_lr": {"color": "#2171b5", "linestyle": "--", "marker": "s"},
    "mscn_sparse_final": {"color": "#6baed6", "linestyle": "-.", "marker": "^"},
    "meta_sparse_inr": {"color": "#a63603", "linestyle": "-", "marker": "D"},
    "random_pruning": {"color": "#e6550d", "linestyle": "--", "marker": "v"},
    "dense_narrow": {"color": "#fd8d3c", "linestyle": "-.", "marker": "P"},
    "maml_one_shot": {"color": "#238b45", "linestyle": ":", "marker": "<"},
    "maml_imp": {"color": "#74c476", "linestyle": ":", "marker": ">"},
    "scratch": {"color": "#252525", "linestyle": ":", "marker": "x"},
    "coin_pp": {"color": "#fc8d59", "linestyle": "--", "marker": "s"},
    "coin_pp_reference": {"color": "#b35806", "linestyle": ":", "marker": "D"},
    "coin": {"color": "#74c476", "linestyle": ":", "marker": ">"},
    "jpeg": {"color": "#a63603", "linestyle": "-", "marker": "v"},
    "jpeg2000": {"color": "#238b45", "linestyle": "-.", "marker": "^"},
    "webp": {"color": "#807dba", "linestyle": "--", "marker": "<"},
    "avif": {"color": "#252525", "linestyle": ":", "marker": "x"},
    "jpeg_xl": {"color": "#41b6c4", "linestyle": "-.", "marker": "P"},
    "bpg": {"color": "#636363", "linestyle": "--", "marker": "D"},
}

SOURCES = {"real": "", "subset": " (subset)", "standin": " (stand-in)"}
"""`source` column -> what follows the data set's name in titles."""

# Its subsetter reports every table of every font.
logging.getLogger("fontTools").setLevel(logging.ERROR)
sns.set_theme(style="whitegrid", context="paper")
plt.rcParams.update(
    {
        "figure.dpi": 150,
        "savefig.bbox": "tight",
        "pdf.fonttype": 42,
        "svg.hashsalt": "mscn",
        "legend.frameon": True,
        "axes.titlesize": 9,
    }
)


def title(dataset: str, source: str, preset: str, *more: str) -> str:
    """Data set, whether it is the real one, and preset, as every figure names them."""
    return " · ".join([f"{dataset}{SOURCES[source]}", f"preset {preset}", *more])


def trained_on(text: str) -> str:
    """A `trained_on` column's value as titles have it."""
    return text.replace("(standin)", "(stand-in)")


def count(number: int, noun: str) -> str:
    """A number with its noun, e.g. "1 seed", "3 seeds"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def save(figure: plt.Figure, folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Writes `name`.pdf and `name`.png, each atomically and without a date, and closes the figure."""
    written = []
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        path = folder / f"{name}.{suffix}"
        with records.replaced(path, "wb") as out:
            figure.savefig(out, format=suffix, metadata=metadata)
        written.append(path)
    plt.close(figure)
    return written


def save_film(frames: list[PIL.Image.Image], path: pathlib.Path) -> None:
    """Writes pictures as an endless GIF of 12 a second, atomically."""
    film = io.BytesIO()
    frames = [frame.quantize(128) for frame in frames]
    frames[0].save(film, format="GIF", save_all=True, append_images=frames[1:], duration=83, loop=0)
    with records.replaced(path, "wb") as out:
        out.write(film.getvalue())
