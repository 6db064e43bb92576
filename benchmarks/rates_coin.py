"""Rates of COIN: every image has a network of its own, whose weights are stored in 16 bits."""

import dataclasses

import gin
import jax
import numpy as np

from benchmarks import evaluation, rates
from benchmarks.cell import Cell
from mscn_flax import meta
from mscn_flax.finetune import AdamFit
from mscn_flax.modalities import Points
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.modalities.values import array_to_targets


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Coin:
    """COIN: a network an image, fitted by Adam, its weights stored in 16 bits.

    Attributes:
      layers: sine layers.
      width: units of each.
      images: test images fitted; None for all.
      adam: how.
    """

    layers: int
    width: int
    images: int | None = None
    adam: AdamFit = dataclasses.field(default_factory=AdamFit)


def rows(cell: Cell, state: meta.TrainState) -> list[dict]:
    """One row an image, its weights rounded to 16 bits; COIN has neither header nor entropy coding."""
    how, field = cell.evaluation, cell.learner.field
    theta0 = np.asarray(field.flat(state.theta["field"]))
    render = jax.jit(cell.learner.render)
    images, coded = rates.test_signals(cell, how.images), []
    for shape in sorted({image.shape[:2] for image in images}):
        coords = grid_coordinates(shape)
        indices = [index for index, image in enumerate(images) if image.shape[:2] == shape]
        targets = array_to_targets(np.stack([images[index] for index in indices]), 2)
        fitted = evaluation.fit(cell, state, Points(coords, targets), how.adam.encode, None)
        for index, delta in zip(indices, fitted.codes, strict=True):
            weights = (theta0 + delta).astype(np.float16).astype(np.float32)
            values = np.asarray(render(state.theta, weights - theta0, coords))
            coded.append(
                rates.row(cell, index, images[index], values, 2 * cell.budget)
                | {
                    "budget": cell.budget,
                    "budget_unit": "weights",
                    "inner_steps": how.adam.steps,
                    "inner_optimizer": "adam",
                    "bits": 16,
                    "bpp_payload": f"{16 * cell.budget / (shape[0] * shape[1]):.6g}",
                    "encode_s": f"{fitted.encode_s:.3g}",
                    "decode_s": f"{fitted.decode_s:.3g}",
                }
            )
    return coded
