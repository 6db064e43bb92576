"""Adaptive coding of quantised codes: what is predicted from neighbouring parts, and how far it may be off.

Parts of a signal lie on a lattice, patches of an image in rows and columns, maps one after the other. Entry by entry,
a level is predicted from the levels of the same entry in the parts to the left, above, and above to the left; what
remains, the residual, is coded by one of some tables, chosen by how large the residuals of earlier entries are in this
part and in the eight around it. All is done in integers, so that every machine chooses alike.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Int, UInt32

from mscn_flax import entropy

CLASSES = 24
"""Tables that are fitted: classes of expected size of a residual."""

_ONE = 8
"""Bits behind the point of weights and of sizes relative to an entry's mean."""

_FINE = 24
"""Bits behind the point of an expected size."""

_LARGEST = 1 << 20
"""Largest size that a residual counts as, in the unit of its entry."""

_LEAST = 0.05
"""Mean size that the residuals of an entry are assumed to have at least, in levels."""

_RIDGE = 1e-2
"""Share of the mean square of a neighbour's level that is added to it when weights are fitted."""


@dataclasses.dataclass(frozen=True, eq=False)
class Contexts:
    """Weights of the prediction, and of the choice of a table.

    Attributes:
      neighbours: weights of the parts to the left, above, and above to the left, in 1/256.
      units: of the size of a residual of an entry, in 1/256 of its mean.
      gains: expected size of a residual in 2^-24 levels: a constant, and what each unit of the earlier entries in the
        same part, in the four parts beside it and in the four at its corners adds.
      edges: where the classes of expected size divide, ascending, likewise.
    """

    neighbours: Int[np.ndarray, "n 3"]
    units: Int[np.ndarray, " n"]
    gains: Int[np.ndarray, "n 4"]
    edges: Int[np.ndarray, " k"]

    @classmethod
    def fit(cls, fields: Sequence[Int[np.ndarray, "R C n"]], limit: int) -> "Contexts":
        """Fits to the levels, relative to those of the mean, of training signals; least squares throughout.

        Args:
          fields: levels of the parts of each signal, on its lattice.
          limit: predictions lie from -limit to limit - 1.
        """
        from scipy.optimize import nnls  # Coding needs it not, and would wait half a second for it.

        fields = stacked(fields)
        count = fields[0].shape[-1]
        levels = np.concatenate([field.reshape(-1, count) for field in fields])
        around = [np.concatenate([_before(field)[i].reshape(-1, count) for field in fields]) for i in range(3)]
        neighbours = np.zeros((count, 3), np.int32)
        for entry in range(count):
            seen = np.stack([each[:, entry] for each in around], axis=1).astype(np.float64)
            products = seen.T @ seen + (_RIDGE * np.square(seen).mean() * len(seen) + 1e-9) * np.eye(3)
            neighbours[entry] = np.rint(np.linalg.solve(products, seen.T @ levels[:, entry]) * (1 << _ONE))
        made = cls(neighbours, np.zeros(count, np.int32), np.zeros((count, 4), np.int64), np.zeros(0, np.int64))
        residuals = [made._residuals(field, limit) for field in fields]
        # A signal counts as much as another, whatever its size.
        means = [np.abs(each).mean(axis=(1, 2)) for each in residuals]
        mean = np.concatenate(means).mean(axis=0) + _LEAST
        units = np.rint((1 << _ONE) / mean).astype(np.int32)
        gains, expected = np.zeros((count, 4), np.int64), []
        states = [_Sizes(field.shape[:-1]) for field in fields]
        for entry in range(count):
            around = [np.stack(state.around()).reshape(3, -1) for state in states]
            seen = np.concatenate(around, axis=1).T.astype(np.float64)
            seen = np.concatenate([np.ones((len(seen), 1)), seen], axis=1)
            size = np.concatenate([np.abs(each[..., entry]).ravel() for each in residuals]).astype(np.float64)
            scale = np.maximum(seen.max(axis=0), 1)
            turn, reduced = np.linalg.qr(seen / scale)
            gains[entry] = np.rint(nnls(reduced, turn.T @ size)[0] / scale * (1 << _FINE))
            expected.append(seen @ gains[entry])
            for state, each in zip(states, residuals, strict=True):
                state.add(each[..., entry], units[entry])
        edges = np.unique(np.quantile(np.concatenate(expected), np.linspace(0, 1, CLASSES + 1)[1:-1]).astype(np.int64))
        return cls(neighbours, units, gains, edges)

    def walk(
        self, levels: Int[np.ndarray, "*S R C n"], limit: int
    ) -> Iterator[tuple[Int[np.ndarray, "*S R C"], Int[np.ndarray, "*S R C"]]]:
        """The residuals of one entry after another, and the classes of their tables."""
        sizes, residuals = _Sizes(levels.shape[:-1]), self._residuals(levels, limit)
        for entry in range(len(self.units)):
            yield residuals[..., entry], self.classes(entry, sizes)
            sizes.add(residuals[..., entry], self.units[entry])

    def sizes(self, lattice: tuple[int, int]) -> "_Sizes":
        """What a decoder knows of the sizes of residuals before the first entry."""
        return _Sizes(lattice)

    def classes(self, entry: int, sizes: "_Sizes") -> Int[np.ndarray, "*S R C"]:
        """The classes of the tables of an entry, from the sizes of the residuals of all before it."""
        constant, *gains = self.gains[entry]
        expected = constant + sum(gain * size for gain, size in zip(gains, sizes.around(), strict=True))
        return np.searchsorted(self.edges, expected, side="right")

    def levels(self, residuals: Int[np.ndarray, "R C n"], limit: int) -> Int[np.ndarray, "R C n"]:
        """The levels of all entries from their residuals: a diagonal of the lattice at a time."""
        weights = self.neighbours.T.astype(np.int64)
        rows, columns, count = residuals.shape
        padded = np.zeros((rows + 1, columns + 1, count), np.int64)
        for diagonal in range(rows + columns - 1):
            row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
            column = diagonal - row
            before = (padded[row + 1, column], padded[row, column + 1], padded[row, column])
            padded[row + 1, column + 1] = residuals[row, column] + _predicted(weights, before, limit)
        return padded[1:, 1:]

    def _residuals(self, levels: Int[np.ndarray, "*S R C n"], limit: int) -> Int[np.ndarray, "*S R C n"]:
        return levels - _predicted(self.neighbours.T.astype(np.int64), _before(levels), limit)


class _Sizes:
    """Sums of the sizes of the residuals of all entries so far, one sum per part; of one signal or of several."""

    def __init__(self, lattice: tuple[int, ...]):
        self._sum = np.zeros(lattice, np.int64)
        # A part that is not there counts as the nearest that is.
        self._nearest = [np.clip(np.arange(-1, length + 1), 0, length - 1) for length in lattice[-2:]]

    def add(self, residuals: Int[np.ndarray, "*S R C"], unit: np.int32) -> None:
        """Takes the next entry into account."""
        self._sum += np.minimum(np.abs(residuals).astype(np.int64) * unit, _LARGEST)

    def around(self) -> tuple[Int[np.ndarray, "*S R C"], Int[np.ndarray, "*S R C"], Int[np.ndarray, "*S R C"]]:
        """The sums of each part, of the four beside it and of the four at its corners."""
        rows, columns = self._nearest
        padded = self._sum.take(rows, axis=-2).take(columns, axis=-1)
        up, middle, down = padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :]
        outer = up + down
        beside = outer[..., 1:-1] + middle[..., :-2] + middle[..., 2:]
        return self._sum, beside, outer[..., :-2] + outer[..., 2:]


def stacked(fields: Iterable[Int[np.ndarray, "_ _ n"]]) -> list[Int[np.ndarray, "_ _ _ n"]]:
    """Signals of equal lattices in one array each, so that thousands take no longer than one."""
    alike: dict[tuple[int, ...], list[np.ndarray]] = {}
    for field in fields:
        alike.setdefault(field.shape, []).append(field)
    return [np.stack(each) for each in alike.values()]


def _before(levels: Int[np.ndarray, "*S R C n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels to the left, above, and above to the left; 0 where there is no part."""
    padded = np.pad(levels.astype(np.int64), [(0, 0)] * (levels.ndim - 3) + [(1, 0), (1, 0), (0, 0)])
    return padded[..., 1:, :-1, :], padded[..., :-1, 1:, :], padded[..., :-1, :-1, :]


def _predicted(weights, before, limit: int) -> np.ndarray:
    total = sum(weight * each for weight, each in zip(weights, before, strict=True))
    return np.clip((total + (1 << (_ONE - 1))) >> _ONE, -limit, limit - 1)


def class_tables(
    contexts: Contexts, residuals: Iterable[tuple[np.ndarray, np.ndarray]], alphabet: int
) -> UInt32[np.ndarray, "K A"]:
    """Symbol frequencies of every class, from what `walk` gives of training signals."""
    counts = np.zeros((len(contexts.edges) + 1, alphabet))
    for each, classes in residuals:
        np.add.at(counts, (classes, np.clip(each + alphabet // 2, 0, alphabet - 1)), 1)
    return entropy.smoothed(counts)
