"""What benchmarks of variants share: a variant is a gin scope that changes one thing of a training of Table 1.

Judged on the validation split, never on test signals, as a variant is there to choose how to train.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks import engine, evaluation, table1_modulations
from benchmarks.ids import choices
from benchmarks.job import TrainingJob
from mscn_flax import data, metrics


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariantJob(TrainingJob):
    """A variant of one method.

    Attributes:
      variant: its name; `base` is compared with.
    """

    variant: str

    @property
    def split(self) -> str | None:
        """None: always the validation split, in the folder of any preset."""
        return None


def inherited(
    benchmark: str,
    scope: Sequence[str],
    dataset: str,
    method: str,
    variant: str,
    budget: int,
    seed: int,
    alone: dict,
    recipe: str = "",
    **network: int,
) -> dict:
    """What a job of a variant has of Table 1's cell in the scope `(*scope, method, variant)`, see there."""
    made = table1_modulations.job(
        benchmark,
        (*scope, method, variant),
        dataset,
        data.DATA_SETS[dataset].resolution,
        method,
        budget,
        seed,
        alone,
        recipe,
        **network,
    )
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(TrainingJob)} | {"variant": variant}


def distinct(name: str, jobs: Sequence[VariantJob]) -> list[VariantJob]:
    """The jobs, each once.

    Args:
      name: of the axis of the variants.
      jobs: as the axes give them.

    Raises:
      ValueError: where a variant changes nothing of another one.
    """
    known = {}
    for job in jobs:
        setup = job.setup
        decides = (job.dataset, job.method, job.budget, job.seed, setup.learner, setup.optimizer, setup.training)
        first = known.setdefault(choices(decides), job)
        if first.variant != job.variant:
            message = f"has {job.variant!r}, which changes nothing of {first.variant!r} as gin has them"
            raise ValueError(f"{name} {message}")
    return list(known.values())


def row(job: VariantJob, fitted: evaluation.Fitted) -> dict:
    """The columns that rows of variants have in common, with the mean PSNR of the signals."""
    psnr = np.mean(np.asarray(metrics.psnr(metrics.mse(fitted.values, fitted.targets))))
    return evaluation.common(job) | {
        "variant": job.variant,
        "budget": job.budget,
        "outer_steps": job.setup.training.outer_steps,
        "psnr_db": f"{psnr:.4f}",
        "signals": len(fitted.targets),
        "device": engine.device_name(),
    }
