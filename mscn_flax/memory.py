"""What a device's memory holds: how many signals at a time, and whether what is computed of them is kept.

A CPU works on few points at a time, whatever its memory holds: what its caches hold decides. With 16 signals of 1,024
points at a time an encoding takes 4 times as long as with one, with 8 a meta-step 5 times.
"""

import flax.linen as nn
import jax
import numpy as np

from mscn_flax.delta import DeltaSiren
from mscn_flax.rendering import points_per_coordinate
from mscn_flax.siren import base_siren

_ARRAYS = 6
"""Arrays [points, width] per layer that a meta-step keeps of a signal: 4.4 to 5.0 in XLA's programs for a CPU, for 5 to
10 layers of 64 and 128 and three inner steps, 6.1 with one. Encoding keeps 2.2 to 3.8."""

_SHARE = 0.4
"""Of a device's memory that signals may take; the rest is for parameters, batches and another run beside this one."""

_SIGNALS = 16
"""At a time, where the device does not say how much memory it has."""

CACHED = {"train": 1 << 8, "encode": 1 << 10, "decode": 1 << 12}
"""What is done with signals -> evaluations of the field that a CPU works on at a time, where one signal has fewer."""

_LINEAR = 5
"""Arrays [points, width] per layer and inner step in the linearisation of its gradient, see `adapt`."""

_KEPT = 2**30
"""Bytes that linearisations may take of a device that does not say how much memory it has."""


def available() -> int | None:
    """Bytes that this process may take of a device; None where the device does not say, as a CPU."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def signal_bytes(field: nn.Module | DeltaSiren, points: int) -> int:
    """Temporary memory of a meta-step per signal of `points` coordinates, an estimate."""
    siren = base_siren(field)
    layers = points * points_per_coordinate(field) * (siren.depth - 1) * siren.width
    return 4 * _ARRAYS * (layers + int(np.prod(field.code_shape)))


def signals_at_a_time(asked: int | None, field: nn.Module | DeltaSiren, points: int, task: str = "train") -> int:
    """How many signals of `points` coordinates a device works on at a time.

    Args:
      asked: at most so many; None for as many as the device's memory holds.
      field: what is evaluated.
      points: coordinates of a signal.
      task: a key of `CACHED`.
    """
    limit = available()
    if limit is None:
        cached = max(1, CACHED[task] // (points * points_per_coordinate(field)))
        return min(_SIGNALS if asked is None else asked, cached)
    return max(1, int(_SHARE * limit) // signal_bytes(field, points)) if asked is None else asked


def linearises(field: nn.Module | DeltaSiren, points: int, signals: int, steps: int) -> bool:
    """Whether the linearisations of `steps` inner steps of `signals`, worked on together, have room."""
    limit = available()
    needed = signals * steps * signal_bytes(field, points) * _LINEAR / _ARRAYS
    return needed <= (_KEPT if limit is None else _SHARE * limit)
