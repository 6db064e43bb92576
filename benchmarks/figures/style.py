"""How every figure looks: fonts, names and styles of methods, grids of axes, legends and titles."""

import logging
from collections.abc import Callable, Iterable

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd
import seaborn as sns

from benchmarks.looks import Look
from benchmarks.records import RECIPES

METHODS = {
    # Line style and marker differ as well, and the colours differ in lightness: legible in grey.
    "mscn": Look("MSCN", "#08306b", "-", "o"),
    "mscn_nested": Look("MSCN, one network for all rates", "#4292c6", ":", "o"),
    "functa": Look("Functa", "#fc8d59", "--", "s"),
    "sparse_latents": Look("latents, sparse modulations", "#807dba", "-.", "^"),
    "pca": Look("PCA (linear)", "#7a0177", ":", "^"),
    "klt": Look("PCA (linear), coded", "#7a0177", ":", "^"),
    "mscn_meta_sgd": Look("MSCN, MetaSGD", "#08306b", "-", "o"),
    "mscn_fixed_lr": Look("MSCN, fixed rate", "#2171b5", "--", "s"),
    "mscn_sparse_final": Look("MSCN, sparse network", "#6baed6", "-.", "^"),
    "meta_sparse_inr": Look("MetaSparseINR", "#a63603", "-", "D"),
    "random_pruning": Look("random pruning", "#e6550d", "--", "v"),
    "dense_narrow": Look("dense, narrow", "#fd8d3c", "-.", "P"),
    "maml_one_shot": Look("MAML + OneShot", "#238b45", ":", "<"),
    "maml_imp": Look("MAML + IMP", "#74c476", ":", ">"),
    "scratch": Look("scratch", "#252525", ":", "x"),
    "coin_pp": Look("COIN++", "#fc8d59", "--", "s"),
    "coin": Look("COIN", "#74c476", ":", ">"),
    "jpeg": Look("JPEG", "#a63603", "-", "v"),
    "jpeg2000": Look("JPEG 2000", "#238b45", "-.", "^"),
    "webp": Look("WebP", "#807dba", "--", "<"),
    "avif": Look("AVIF", "#252525", ":", "x"),
    "jpeg_xl": Look("JPEG XL", "#41b6c4", "-.", "P"),
    "bpg": Look("BPG", "#636363", "--", "D"),
    # The forms of sparsity are drawn as points.
    "unstructured": Look("unstructured", "0.0", "", "o"),
    "structured": Look("structured: columns", "0.1", "", "s"),
    "group": Look("group: sets of units", "0.2", "", "D"),
    "representational": Look("representational", "0.3", "", "^"),
    "gradient": Look("gradient (eq. 9)", "0.4", "", "v"),
    "delta": Look("theta0 + z delta", "0.5", "", "P"),
    "delta_adapted": Look("the same, gates adapted", "0.6", "", "X"),
}
"""The repository's own methods, in the order in which they are drawn: `method` column -> look."""

SOURCES = {"real": "", "subset": " (subset)", "standin": " (stand-in)"}
"""`source` column -> what follows the data set's name in titles."""

DATASETS = {
    "cifar10": "CIFAR-10",
    "celeb_a": "CelebA",
    "celeb_a_hq": "CelebA-HQ",
    "imagenette": "Imagenette",
    "era5": "ERA5",
    "kodak": "Kodak",
    "cid22": "CID22",
    "cmip6": "CMIP6",
    "shapenet10": "ShapeNet10",
    "srn_cars": "SRN Cars",
    "kaykit_voxels": "solids (KayKit)",
    "kaykit_scenes": "scenes (KayKit)",
    "sphere_fields": "made-up maps",
    "solids": "made-up solids",
    "balls": "made-up scenes",
    "sdf2d": "distance fields",
}
"""`dataset` column -> its name for people, where that is another."""

INTERVALS = "95% intervals by bootstrap over seeds and signals"
"""What figures say of error bars, see `tables.half_widths`."""

RECIPE = ":"
"""Between a method and its recipe where both are compared, e.g. "mscn:published"."""

_others: dict[str, Look] = {}
"""Methods from outside the repository, in the order in which they were met."""

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


def use(looks: dict[str, Look]) -> None:
    """Takes the names and styles that were recorded with the results, in place of those of an earlier call.

    Raises:
      ValueError: where matplotlib does not know a colour, line style or marker.
    """
    _others.clear()
    for index, (method, recorded) in enumerate(looks.items()):
        _others[method] = Look(*(own or ours for own, ours in zip(recorded, automatic(index, method), strict=True)))
        try:
            plt.Line2D([], [], **look(method))
        except ValueError as error:
            raise ValueError(f"recorded look of method {method!r}: {error}") from error


def automatic(index: int, method: str) -> Look:
    """The look of the `index`-th method from outside: the first 28 can be told apart in grey, and from `METHODS`."""
    colors = ("#dd3497", "#41b6c4", "#54278f", "#bdbdbd", "#006d2c")
    return Look(
        f"{method}".replace("_", " "), colors[index % 5], ("-", "--", "-.", ":")[index % 4], "*phXd8H"[index % 7]
    )


def _look(method: str) -> Look:
    if method in METHODS and method not in _others:
        return METHODS[method]
    return _others.setdefault(method, automatic(len(_others), method))


def label(method: str) -> str:
    """A method's name in legends and tables, with its recipe where it has one (`RECIPE`)."""
    name, _, recipe = method.partition(RECIPE)
    return _look(name).label + (f" ({recipe})" if recipe else "")


def look(method: str, **more) -> dict:
    """A method's style as keyword arguments of `Axes.plot` and `Axes.errorbar`; `more` overrides them.

    The published recipe has hollow markers, what is compared at equal parameters half-filled ones and thin lines.
    """
    name, _, recipe = method.partition(RECIPE)
    changed = {"markerfacecolor": "white"} if recipe.startswith("published") else {}
    changed |= {"linewidth": 0.7, "markersize": 7, "fillstyle": "left"} if "equal" in recipe else {}
    return {key: text for key, text in _look(name)._asdict().items() if key != "label"} | changed | more


def recipe(method: str) -> str:
    """The recipe in a method's name (`RECIPE`), without what it is compared at; empty where it has none."""
    return method.partition(RECIPE)[2].partition("equal ")[0].removesuffix(", ")


def ordered(methods: Iterable[str], own: Iterable[str] = METHODS) -> list[str]:
    """Those of the repository's methods `own` that are among `methods`, then the methods from outside; by recipe."""
    there = sorted(dict.fromkeys(methods), key=lambda method: (recipe(method) in RECIPES[1:], method))
    names = [method.partition(RECIPE)[0] for method in there]
    for name in names:
        _look(name)  # Those from outside are met.
    known = dict.fromkeys((*own, *_others))
    return [each for name in known for each, of in zip(there, names, strict=True) if of == name]


def grid(rows: int, columns: int, width: float, height: float, **options) -> tuple[plt.Figure, np.ndarray]:
    """A figure of so many inches and its axes [rows, columns]."""
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options)


def bare(axis: plt.Axes) -> None:
    """Takes ticks and grid away, but not the labels of the axes."""
    axis.set_xticks([], [])
    axis.set_yticks([], [])
    axis.grid(False)


def strip(title: str, width: int, height: int, scale: plt.cm.ScalarMappable | None = None) -> np.ndarray:
    """Pixels [height, width, 3] with a title, above a colour bar where there is a scale: a part of a film's frame."""
    figure = plt.figure(figsize=(width / 100, height / 100), dpi=100)
    if scale is None:
        figure.text(0.5, 0.5, title, ha="center", va="center", fontsize=9)
    else:
        figure.colorbar(scale, cax=figure.add_axes((0.1, 0.72, 0.8, 0.2)), orientation="horizontal", label=title)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return pixels


def plain_numbers(axis: matplotlib.axis.Axis) -> None:
    """Labels a logarithmic axis by plain numbers, and no minor ticks."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def legend(figure: plt.Figure, ncols: int | None = None, handles: dict | None = None, **options) -> None:
    """One legend below all axes: of `handles` by their labels, or of everything that has a label."""
    if handles is None:
        pairs = (zip(*axis.get_legend_handles_labels(), strict=True) for axis in figure.axes)
        handles = {label: handle for of_axis in pairs for handle, label in of_axis}
    place = {"loc": "outside lower center", "ncols": ncols or len(handles)}
    figure.legend(handles.values(), handles.keys(), **place, **options)


def dataset(name: str) -> str:
    """A data set's name for people."""
    return DATASETS.get(name, name.replace("_", " "))


def named(name: str, source: str) -> str:
    """A data set's name for people, and whether it is the real one: "CIFAR-10 (subset)"."""
    return f"{dataset(name)}{SOURCES[source]}".replace(") (", ", ")


def curve(
    axis: plt.Axes, at: np.ndarray, aside: np.ndarray, values: np.ndarray, half_widths: np.ndarray, method: str, **more
) -> plt.Line2D:
    """Draws a method's line and markers in their places, and its intervals beside them, to tell them from others'.

    Args:
      axis: to draw on.
      at: places of the values.
      aside: places of the intervals.
      values: of the line.
      half_widths: of the intervals; NaN for none.
      method: as `look` takes it.
      more: likewise.
    """
    (line,) = axis.plot(at, values, **look(method, **more))
    axis.errorbar(aside, values, half_widths, fmt="none", ecolor=line.get_color(), elinewidth=0.8, capsize=1.5)
    return line


def dodge(index: int, among: int, width: float = 0.6) -> float:
    """How far from its place the `index`-th of markers at one place is drawn, side by side over `width` in all."""
    return width * (index - (among - 1) / 2) / among


def count(number: int, noun: str) -> str:
    """A number with its noun, e.g. "1 seed", "3 seeds"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def counts(numbers: Iterable[int], noun: str) -> str:
    """A range of numbers with its noun, e.g. "1 seed", "1 to 3 seeds"."""
    return f"{span(numbers)} {noun}" + ("" if max(numbers) == 1 else "s")


def span(numbers: Iterable[float]) -> str:
    """The range of numbers, for people: 5, or 5 to 7."""
    least, most = min(numbers), max(numbers)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def devices(rows: pd.DataFrame) -> str:
    """The devices that some rows were measured on."""
    return " and ".join(sorted(rows["device"].dropna().unique()))


def trained_on(rows: pd.DataFrame, name: Callable[[str], str] = dataset) -> str:
    """What the networks of some rows were trained on, as titles have it; tables keep a data set's own name (`str`)."""
    on = (text.partition(" ") for text in sorted(rows["trained_on"].dropna().unique()))
    return ", ".join(f"{name(first)}{space}{rest}" for first, space, rest in on).replace("(standin)", "(stand-in)")


def trained_elsewhere(rows: pd.DataFrame, name: Callable[[str], str] = dataset) -> str:
    """Says what the networks were trained on where that is another data set than that of the rows; empty otherwise."""
    on = trained_on(rows[:1], str)
    return "" if on.startswith(rows["dataset"].iloc[0]) else f"trained on {trained_on(rows[:1], name)}"
