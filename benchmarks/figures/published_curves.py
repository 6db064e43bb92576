"""Published curves behind ours: at most `MOST` in a panel, each with its name where it ends within the axis."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.transforms import Bbox

from benchmarks.figures import style

MOST = 5
"""More grey curves than these cannot be told apart."""

_DASHES = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)))

_PLACES = ((4, 0, "left", "center"), (-3, 3, "right", "bottom"), (3, -3, "left", "top"), (0, 5, "center", "bottom"))
"""Where a name may stand beside a point of its curve: offset in points, horizontal and vertical alignment."""


def draw(axis: plt.Axes, curves: dict[str, np.ndarray]) -> dict[str, plt.Line2D]:
    """Draws the first `MOST` curves: name -> points [n, 2]; MSCN's own in its colour. Returns their lines by name."""
    lines = {}
    for (name, points), dashes in zip(list(curves.items())[:MOST], _DASHES, strict=False):
        look = {"color": style.look("mscn")["color"], "linestyle": "--"} if name == "MSCN" else {"color": "0.45"}
        (line,) = axis.plot(*np.transpose(points), **{"linestyle": dashes, "linewidth": 0.8, "zorder": 1} | look)
        lines["MSCN, published" if name == "MSCN" else name] = line
    return lines


def name_ends(axis: plt.Axes, lines: dict[str, plt.Line2D]) -> None:
    """Writes the name of every line near its end within the axis, where it hides least; call it when all is drawn."""
    axis.figure.draw_without_rendering()
    box, taken = axis.get_window_extent(), []
    paths = {line: _dense(axis, line) for line in axis.lines}
    for name, line in lines.items():
        inside = paths[line][((paths[line] >= box.min) & (paths[line] <= box.max)).all(axis=1)]
        others = np.concatenate([path for other, path in paths.items() if other is not line] or [np.empty((0, 2))])
        text = axis.annotate(name, (0, 0), (0, 0), textcoords="offset points", fontsize=6.5, color=line.get_color())
        text.set(zorder=2, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5})
        found = []
        for back, at in enumerate(inside[::-1][: len(inside) // 2 + 1 : max(len(inside) // 20, 1)]):
            for far, place in enumerate(_PLACES):
                _put(text, axis, at, place)
                extent = text.get_window_extent()
                if box.contains(*extent.min) and box.contains(*extent.max):
                    hidden = 1000 * extent.count_overlaps(taken) + extent.padded(3).count_contains(others)
                    found.append((hidden + 4 * back + far, at, place, extent))
        if not found:
            text.remove()
            continue
        _, at, place, extent = min(found, key=lambda one: one[0])
        _put(text, axis, at, place)
        taken.append(Bbox(extent.get_points()))


def _put(text: plt.Annotation, axis: plt.Axes, at: np.ndarray, place: tuple) -> None:
    """Places an annotation beside a point of the screen."""
    text.xy = axis.transData.inverted().transform(at)
    text.set(position=place[:2], horizontalalignment=place[2], verticalalignment=place[3])


def _dense(axis: plt.Axes, line: plt.Line2D) -> np.ndarray:
    """Points of the screen along a line, close together."""
    points = axis.transData.transform(line.get_xydata())
    steps = np.linspace(0, len(points) - 1, 60 * len(points))
    return np.stack([np.interp(steps, np.arange(len(points)), points[:, i]) for i in range(2)], axis=1)
