"""The network of a method in one cell of a grid, and how wide it is where it is to be as large as another method's."""

import bisect
import dataclasses
from collections.abc import Sequence

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


def rival(scope: Sequence[str], reference: str) -> tuple[str, ...]:
    """The scope of the method that another one is compared with, whose scope ends with its name and what is equal."""
    return (*scope[:-2], reference)


def width(
    equal: str,
    scope: Sequence[str],
    reference: str,
    known: DataSet,
    resolution: int,
    method: str,
    budget: int,
    **network: int,
) -> int:
    """The largest width at which a method's network has no more of something than a reference has.

    The reference has its latent map besides its network.

    Args:
      equal: of `MEASURES`.
      scope: gin scope of the method, which ends with its name and what is equal.
      reference: the other method, see `rival`.
      known: data set.
      resolution: points per side of its signals.
      method: that the network is of.
      budget: numbers per signal of both.
      **network: as `learner` has it, for both.
    """

    def size(made: MetaLearner) -> int:
        return evaluation.cost(made, known.modality, resolution)[MEASURES[equal]]

    with configuration.scope(*rival(scope, reference)):
        most = size(learner(known, reference, budget, **network))
    with configuration.scope(*scope):
        widths = range(max(1, Siren().coordinate_free), 16 * Siren().width)
        wider = bisect.bisect_right(
            widths, most, key=lambda width: size(learner(known, method, budget, **network, width=width))
        )
    return widths[max(wider, 1) - 1]
