"""What a search for the recipe "best" may change of each method: bound in `gin/tuning`, used by `tune.py`."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import gin

from mscn_flax import configuration


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Search:
    """What a search may change, and how it judges.

    Attributes:
      space: binding, e.g. "OuterOptimizer.learning_rate" -> ("log", low, high), ("uniform", low, high), ("choice", one,
        another, ...), or ("gin", ...) with texts of gin, e.g. "@FullCurvature()". A name may hold several bindings,
        divided by commas; the values are tuples then.
      first: what is tried after the preset's own values, in place of some of them; a value as the space has it.
      budget: of the jobs that are trained; what is found holds for all budgets. None for a method that is not tuned.
      judged_by: column of the rows whose mean is to be large.
      stages: fractions of the outer steps after which a trial is judged; a poor one ends there.
    """

    space: Mapping[str, tuple] = dataclasses.field(default_factory=dict)
    first: tuple[Mapping[str, object], ...] = ()
    budget: float | None = None
    judged_by: str = "psnr_db"
    stages: tuple[float, ...] = (0.6, 1.0)


def searches(jobs: Iterable) -> list[tuple]:
    """The jobs of recipe best that are to be tuned, one per scope, and what may change of each."""
    found = {}
    for job in jobs:
        if job.recipe == "best" and job.seed == 0:
            with configuration.scope(*job.scope):
                search = Search()
            if search.space and search.budget is not None and math.isclose(search.budget, job.budget):
                found.setdefault(job.scope, (job, search))
    return list(found.values())
