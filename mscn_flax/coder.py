"""What turns signals into codes and codes into values: a trained learner, made ready for use."""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Float

from mscn_flax import memory, metrics, over_signals
from mscn_flax.gates import GateState
from mscn_flax.learner import MetaLearner, Theta
from mscn_flax.modalities import Cameras, Modality, Signal
from mscn_flax.modalities.base import MAX_POINTS, Points
from mscn_flax.progress import Shown
from mscn_flax.rendering import points_per_coordinate
from mscn_flax.siren import base_siren
from mscn_flax.train_state import TrainState

_CHUNK = 16
"""Patches of 32 x 32 pixels that a device works on at a time; of larger signals fewer, and on a CPU, see `memory`."""

_BLOCK, _FEW = 64, 16
"""Parts that are handed over to the devices at a time, about, and how many are so few that it is as many as needed."""

MAX_FLOPS = 1 << 49
"""Floating-point operations of decoding one signal: 80 megapixels with the paper's network."""

MAX_ENTRIES = 1 << 29
"""Entries of all codes of one signal, open or not: 2 GiB."""


@dataclasses.dataclass(frozen=True, eq=False)
class Coder:
    """A trained learner.

    Attributes:
      learner: field and inner loop; its field is a `Siren` (MSCN), a `LatentModulatedSiren` (Functa, COIN++) or linear.
      theta: what the outer loop has learned.
      mask: entries of the code that may differ from zero, the same for all signals; None where each signal has its own
        (`learner.adapt_gates`).
      side: of what has a code of its own, as `Modality` has it: pixels per side of a patch or of a view, latitudes of a
        map, voxels per side of a solid.
      steps: K when encoding.
      modality: of the signals.
      refined: steps of `refine` after these.
      overlap: whether points at the borders of parts are blended with what the next part's network says there.
      half: whether codes are fitted to every second point of a part alone, in half of the time.
    """

    learner: MetaLearner
    theta: Theta
    mask: Bool[np.ndarray, "*code"] | None
    side: int
    steps: int
    modality: Modality
    refined: int = 0
    overlap: bool = False
    half: bool = False

    def __post_init__(self):
        if self.overlap and self.modality.wider_coordinates(self.side) is None:
            raise ValueError(f"parts of a {self.modality.noun} do not overlap")
        if self.half and self.modality.every_second(self.side) is None:
            raise ValueError(f"a {self.modality.noun} has no second points to leave out")

    @classmethod
    def of(cls, learner: MetaLearner, state: TrainState, side: int, steps: int, modality: Modality) -> "Coder":
        """The coder of a trained state; arguments as the attributes have it."""
        learner, theta, gates = learner.settled(state.theta, state.gates)
        mask = np.ones(learner.field.code_shape, bool) if gates is None else np.asarray(gates.mask)
        mask = mask if learner.shares_pattern else None
        return cls(learner, jax.device_get(theta), mask, side, steps, modality)

    @property
    def channels(self) -> int:
        """Values per point of a signal."""
        return base_siren(self.learner.field).out_dim - self.modality.extra_channels

    @property
    def size(self) -> int:
        """Entries of a code."""
        return int(np.prod(self.learner.field.code_shape))

    @property
    def stored(self) -> Bool[np.ndarray, " P"]:
        """Which entries of a code a stream may hold: those of the shared mask; all where each signal has its own."""
        return np.ones(self.size, bool) if self.mask is None else self.mask.ravel()

    @property
    def flops(self) -> int:
        """Floating-point operations of decoding one part of a signal, see `metrics.decode_flops`."""
        wider = self.modality.wider_coordinates(self.side) if self.overlap else None
        points = math.prod(self.modality.shape(self.side)) if wider is None else len(wider)
        return metrics.decode_flops(self.learner.field, self.theta["field"], self.modality.in_dim, points)

    def check_work(self, parts: int) -> None:
        """Raises a ValueError where decoding so many parts takes hours or gigabytes: few bytes may ask for that."""
        points, flops = parts * math.prod(self.modality.shape(self.side)), parts * self.flops
        if flops > MAX_FLOPS or points > 2 * MAX_POINTS or parts * self.size > MAX_ENTRIES:
            asked = f"{points:,} points, {parts * self.size:,} numbers, {flops:.1e} floating-point operations"
            raise ValueError(f"the signal is too large for this model, whose decoder would need {asked}")

    def split(self, signal: Signal) -> Signal:
        """The parts of a signal that have a code each, along an axis in front.

        Raises:
          ValueError: for a signal that cannot be coded.
        """
        parts = self.modality.split(signal, self.side, self.channels)
        self.check_work(len(self.modality.values(parts)))
        return parts

    def adapt(self, parts: Signal, show: Shown | None = None) -> Float[np.ndarray, "n *code"]:
        """The gated codes of parts of one signal, or of many signals; `show` is told how many are done."""
        gates = self._gates()

        def encoder(mesh, chunk):
            encode = _encoder(self.learner, self.steps, self.refined, mesh, chunk)
            return lambda *rows: encode(self.theta, gates, *self._seen(rows))

        return _in_blocks(encoder, self._chunk("encode"), self.modality.held(parts, self.side, self.steps), show)

    def render(
        self,
        codes: Float[np.ndarray, "P *code"],
        coords: Float[np.ndarray, "*V N d"] | None = None,
        finish: Callable[[np.ndarray], np.ndarray] = np.asarray,
        show: Shown | None = None,
    ) -> np.ndarray:
        """The values [R, N, c] of one signal's codes: a function of them alone, to the last bit.

        Args:
          codes: of all R parts, or of the only one, of which there are R views.
          coords: of all parts, or of each view; None for all points of a part.
          finish: applied to some of the values at a time.
          show: told how many parts, or views, are done.
        """
        coords = self.modality.all_coordinates(self.side) if coords is None else coords
        shared, rows = (self.theta, coords), (codes,)
        if coords.ndim == 3:
            shared, rows = (self.theta,), (coords, np.repeat(codes, len(coords), axis=0))

        def renderer(mesh, chunk):
            render = _renderer(self.learner, mesh, chunk)
            return lambda *block: finish(np.asarray(render(*shared, *block)))

        return _in_blocks(renderer, self._chunk("decode"), rows, show)

    def values(
        self,
        codes: Float[np.ndarray, "P *code"],
        height: int,
        width: int,
        cameras: Cameras | None = None,
        finish: Callable[[np.ndarray], np.ndarray] = np.asarray,
        show: Shown | None = None,
    ) -> tuple[np.ndarray, Cameras | None]:
        """The values of one signal's codes that `Modality.join` puts together, and the cameras of its views.

        Args:
          codes: of all parts.
          height: of the signal, in points.
          width: likewise.
          cameras: as `Modality.rendered_at` takes them.
          finish: as `render` takes it.
          show: likewise.
        """
        coords, cameras = self.modality.rendered_at(cameras, self.learner.field, self.side)
        if self.overlap:
            wider = self.render(codes, self.modality.wider_coordinates(self.side), finish, show)
            return self.modality.blended(wider, height, width, self.side), cameras
        return self.render(codes, coords, finish, show), cameras

    def _chunk(self, task: str) -> int:
        """Parts that a device works on at a time, with `task` as `memory` has it."""
        points = math.prod(self.modality.shape(self.side))
        most = max(1, min(_CHUNK, _CHUNK * 1024 // (points * points_per_coordinate(self.learner.field))))
        return memory.signals_at_a_time(most, self.learner.field, points, task)

    def _seen(self, rows: tuple[np.ndarray, ...]) -> Points:
        """The points that parts are fitted to."""
        points = self.modality.points_of(rows, self.side)
        if not self.half:
            return points
        chosen = self.modality.every_second(self.side)
        return Points(points.coords[chosen], points.targets[:, chosen])

    def _gates(self) -> GateState | None:
        gates = self.learner.init_gates()
        if gates is None:
            return None
        mask = gates.mask if self.mask is None else jnp.asarray(self.mask)
        return gates.replace(mask=mask, frozen=jnp.ones((), bool))


@functools.cache
def _encoder(learner: MetaLearner, steps: int, refined: int, mesh: Mesh, chunk_size: int) -> Callable:
    options = {"mesh": mesh, "chunk_size": chunk_size, "steps": steps, "refined": refined}
    return jax.jit(functools.partial(over_signals.encode, learner, **options))


@functools.cache
def _renderer(learner: MetaLearner, mesh: Mesh, chunk_size: int) -> Callable:
    return jax.jit(functools.partial(over_signals.decode, learner, mesh=mesh, chunk_size=chunk_size))


def _in_blocks(compiled: Callable, largest: int, rows: tuple[np.ndarray, ...], show: Shown | None = None) -> np.ndarray:
    """`compiled(mesh, chunk)(*block)` of blocks of rows: one compilation whatever their number, but for a few rows.

    These (a small image) are padded to a power of two. How many rows are worked on together depends on their number
    alone, at most `largest`, and not on the devices: so results do not either.
    """
    count = len(rows[0])
    places = _BLOCK if count > _FEW else 1 << (count - 1).bit_length()
    chunk = min(largest, places)
    devices = jax.local_devices()[: max(1, places // chunk)]
    block = -(-places // (chunk * len(devices))) * chunk * len(devices)
    fn = compiled(Mesh(np.array(devices), (over_signals.SIGNALS,)), chunk)
    results = []
    for start in range(0, count, block):
        parts = [row[start : start + block] for row in rows]
        short = block - len(parts[0])
        padded = [np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) for part in parts]
        results.append(np.asarray(fn(*padded))[: len(parts[0])])
        if show:
            show(min(start + block, count), count)
    return np.concatenate(results)
