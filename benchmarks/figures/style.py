"""How every figure looks: one place for fonts, greys and file formats."""

import logging
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import seaborn as sns

from benchmarks import records

METHOD_NAMES = {"mscn": "MSCN", "functa": "Functa"}
"""`method` column -> name in figures and tables."""

METHOD_STYLES = {
    # Line style and marker differ too, and the colours differ in lightness: legible in grey.
    "mscn": {"color": "#08306b", "linestyle": "-", "marker": "o"},
    "functa": {"color": "#fc8d59", "linestyle": "--", "marker": "s"},
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
