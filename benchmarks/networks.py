"""The network of a method in one cell of a grid, and how wide it is where it is to be as large as another method's."""

import bisect
import dataclasses
from collections.abc import Callable, Sequence

from benchmarks import evaluation
from benchmarks.methods import METHODS
from mscn_flax import configuration
from mscn_flax.data import DataSet
from mscn_flax.learner import MetaLearner
from mscn_flax.siren import Siren

MEASURES = {"parameters": "shared_parameters", "flops": "decode_flops"}
"""What is to be equal, of `records.EQUAL`, -> its column."""


def learner(known: DataSet, method: str, budget: int, **network: int) -> MetaLearner:
    """The learner of a method as gin has it in the current scope; attributes of `Siren` in `network` replace gin's."""
    siren = dataclasses.replace(Siren(out_dim=known.channels + known.modality.extra_channels), **network)
    field = METHODS[method].field(siren, budget)
    return METHODS[method].learner(known.modality.field(field), budget)


def as_large(
    equal: str,
    scope: Sequence[str],
    reference: str,
    known: DataSet,
    resolution: int,
    method: str,
    budget: int,
    **network: int,
) -> tuple[tuple[str, ...], list[tuple[str, ...]], dict[str, int]]:
    """How a method has as much of something as a reference, which has its latent map besides its network.

    Args:
      equal: of `records.EQUAL`; for "network" nothing changes.
      scope: gin scope of the method, which ends with its name. What is equal is put behind it, so that a wider network
        can have rates of its own.
      reference: the other method, whose name takes this place in its own scope.
      known: data set.
      resolution: points per side of its signals.
      method: that the network is of.
      budget: numbers per signal of both.
      **network: sizes as `learner` has them, for both.

    Returns:
      The scope; other scopes that the run depends on, as `grid.gin_text` takes them; the sizes with the width, which
      is the largest that has no more than the reference.
    """
    if equal == "network":
        return tuple(scope), [], network

    def size(made: MetaLearner) -> int:
        return evaluation.cost(made, known.modality, resolution)[MEASURES[equal]]

    rival, scope = (*scope[:-1], reference), (*scope, equal)
    with configuration.scope(*rival):
        most = size(learner(known, reference, budget, **network))
    with configuration.scope(*scope):
        own, least = Siren().width, Siren().coordinate_free + 1

        def size_of(width: int) -> int:
            return size(learner(known, method, budget, **network, width=width))

        # Sums over layers of products of two widths are a quadratic function, of which three values say all.
        one, two, three = map(size_of, (own, own + 1, own + 2))

        def foreseen(width: int) -> int:
            more = width - own
            return one + more * (two - one) + more * (more - 1) // 2 * (three - 2 * two + one)

        def widest(sizes: Callable[[int], int]) -> int:
            widths = range(least, 16 * own)
            return widths[max(bisect.bisect_right(widths, most, key=sizes), 1) - 1]

        width = widest(foreseen)
        if size_of(width) != foreseen(width):  # A method from outside may grow in another way.
            width = widest(size_of)
    return scope, [rival], network | {"width": width}
