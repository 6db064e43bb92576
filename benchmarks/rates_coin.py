"""Rates of COIN: every image has a network of its own, whose weights are stored in 16 bits."""

import dataclasses

import gin
import jax
import numpy as np

from benchmarks import evaluation, rates
from benchmarks.job import TrainingJob
from benchmarks.run_folder import Result
from mscn_flax import metrics
from mscn_flax.finetune import AdamFit
from mscn_flax.modalities import Points
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.modalities.values import array_to_targets
from mscn_flax.train_state import TrainState


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Coin:
    """COIN: one network per image, fitted by Adam, its weights stored in 16 bits.

    Attributes:
      layers: number of sine layers.
      width: units per layer.
      images: number of test images that are fitted; None for all.
      adam: how they are fitted.
    """

    layers: int
    width: int
    images: int | None = None
    adam: AdamFit = dataclasses.field(default_factory=AdamFit)


def evaluate(job: TrainingJob, state: TrainState) -> Result:
    """One row per image, its weights rounded to 16 bits; COIN has neither header nor entropy coding."""
    how, field = job.evaluation, job.setup.learner.field
    theta0 = np.asarray(field.flat(state.theta["field"]))
    render = jax.jit(job.setup.learner.render)
    images, coded = rates.test_signals(job, how.images), []
    for shape in sorted({image.shape[:2] for image in images}):
        coords = grid_coordinates(shape)
        indices = [index for index, image in enumerate(images) if image.shape[:2] == shape]
        targets = array_to_targets(np.stack([images[index] for index in indices]), 2)
        fitted = evaluation.fit(job.setup, state, Points(coords, targets), how.adam.encode, None)
        flops = metrics.decode_flops(field, state.theta["field"], job.setup.modality.in_dim, len(coords))
        for index, delta in zip(indices, fitted.codes, strict=True):
            weights = (theta0 + delta).astype(np.float16).astype(np.float32)
            values = np.asarray(render(state.theta, weights - theta0, coords))
            coded.append(
                rates.row(job, index, images[index], values, 2 * job.budget)
                | {
                    "budget": job.budget,
                    "budget_unit": "weights",
                    "shared_parameters": 0,
                    "decode_flops": flops,
                    "inner_steps": how.adam.steps,
                    "inner_optimizer": "adam",
                    "bits": 16,
                    "bpp_payload": f"{16 * job.budget / (shape[0] * shape[1]):.6g}",
                    "encode_s": f"{fitted.encode_s:.3g}",
                    "decode_s": f"{fitted.decode_s:.3g}",
                }
            )
    return Result({"": coded})
