"""A trained cell on the test signals: codes, values, and a row each."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import records, runner
from benchmarks.cell import Cell
from mscn_flax import meta, metrics, signals


class Fitted(NamedTuple):
    """Some test signals and what was fitted to them.

    Attributes:
      targets: [n, N, c].
      codes: [n, *code].
      values: [n, N, c], decoded from the codes.
      encode_s: seconds a signal, within a batch, compilation apart.
      decode_s: likewise.
    """

    targets: np.ndarray
    codes: np.ndarray
    values: np.ndarray
    encode_s: float
    decode_s: float


def test_targets(cell: Cell, limit: int | None) -> np.ndarray:
    """The first `limit` test signals [n, N, c]; all where None."""
    images = cell.images["test"]
    count = min(len(images), limit or len(images))
    return signals.image_to_targets(np.stack([images[i] for i in range(count)]))


def fit(
    cell: Cell,
    state: meta.TrainState,
    targets: np.ndarray,
    encode: Callable = meta.encode,
    *arguments,
    coords: np.ndarray | None = None,
) -> Fitted:
    """Fits and decodes every signal.

    Args:
      cell: what was trained.
      state: its trained state.
      targets: the signals.
      encode: as `meta.encode`, with `arguments` behind its own; equal ones are compiled once.
      *arguments: arrays, or None.
      coords: of the signals' points, those of the cell where None.
    """
    mesh = Mesh(np.array(jax.devices()), (meta.SIGNALS,))
    block = mesh.size * cell.training.chunk_size
    padded = np.concatenate([targets, np.repeat(targets[-1:], -len(targets) % block, axis=0)])
    state = jax.device_put(jax.device_get(state), NamedSharding(mesh, PartitionSpec()))
    settings = {"mesh": mesh, "chunk_size": cell.training.chunk_size}
    coords = jnp.asarray(cell.coords if coords is None else coords)

    def timed(fn, *arguments):
        key = (fn, runner.for_any_budget(cell.learner), cell.training.chunk_size)
        fn = runner.compiled(functools.partial(fn, cell.learner, **settings), key, *arguments)
        began = time.perf_counter()
        result = jax.block_until_ready(fn(*arguments))
        return result, (time.perf_counter() - began) / len(padded)

    codes, encode_s = timed(encode, state.theta, state.gates, coords, padded, *arguments)
    values, decode_s = timed(meta.decode, state.theta, coords, codes)
    count = len(targets)
    return Fitted(targets, np.asarray(codes)[:count], np.asarray(values)[:count], encode_s, decode_s)


def kept(cell: Cell, state: meta.TrainState, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-zero weights [n] and biases [n] of what the budget counts of codes [n, P] (`sparsity.Form.counted`)."""
    learner, params = cell.learner, state.theta["field"]
    counted = jax.vmap(lambda code: learner.form.counted(learner.field, params, code))(jnp.asarray(codes))
    is_weight = learner.field.is_weight
    return tuple(np.count_nonzero(np.asarray(counted)[:, part], axis=1) for part in (is_weight, ~is_weight))


def common(cell: Cell) -> dict:
    """What every row of a run has, whatever the file."""
    return {
        "experiment": cell.experiment,
        "preset": cell.preset,
        "dataset": cell.dataset,
        "source": cell.images["test"].source,
        "method": cell.method,
        "seed": cell.seed,
        "run_id": cell.run_id,
    }


def distortion(values: np.ndarray, targets: np.ndarray) -> dict:
    """A signal's columns of quality, from its values [N, c] and targets."""
    values, targets = jnp.asarray(values), jnp.asarray(targets)
    error = metrics.mse(values, targets)
    error8 = metrics.mse(metrics.to_8_bit(values), targets)
    return {
        "mse": f"{error:.7g}",
        "psnr_db": f"{metrics.psnr(error):.4f}",
        "psnr8_db": f"{metrics.psnr(error8):.4f}",
    }


def rows(cell: Cell, fitted: Fitted, per_signal: Callable[[int], dict], **per_run) -> list[dict]:
    """One row a signal.

    Args:
      cell: what was trained.
      fitted: its signals.
      per_signal: index of a signal -> columns of its own.
      **per_run: columns with one value.
    """
    return [
        dict.fromkeys(records.COLUMNS, "")
        | common(cell)
        | {
            "inner_steps": cell.learner.inner_steps,
            "inner_optimizer": "meta_sgd" if cell.learner.meta_sgd else "sgd",
            "outer_steps": cell.stop_step,
            "encode_s": f"{fitted.encode_s:.3g}",
            "decode_s": f"{fitted.decode_s:.3g}",
        }
        | per_run
        | {"signal_id": i}
        | distortion(fitted.values[i], fitted.targets[i])
        | per_signal(i)
        for i in range(len(fitted.targets))
    ]
