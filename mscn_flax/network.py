"""What turns patches into codes and codes into patches: a trained learner, made ready for use."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Float, UInt8

from mscn_flax import kinds, meta, patches, signals
from mscn_flax.gates import GateState
from mscn_flax.learner import MetaLearner, Theta
from mscn_flax.modalities import SCENES, Sampling
from mscn_flax.rendering import points_per_coordinate
from mscn_flax.siren import base_siren

_CHUNK = 16
"""Patches of 32 x 32 pixels that a device works on at a time; of larger signals fewer."""

_RAYS = 1024
"""Of a scene's views that an inner step sees, at random, at least."""


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A trained learner.

    Attributes:
      learner: field and inner loop; its field is a `Siren` (MSCN) or a `LatentModulatedSiren` (Functa, COIN++).
      theta: what the outer loop has learned.
      mask: entries of the code that may differ from zero, the same for all signals; None where each signal has its own
        (`learner.adapt_gates`).
      side: pixels a side of the patches, or of a scene's views; latitudes of maps; voxels a side of solids.
      steps: K when encoding.
      kind: of the signals, a key of `kinds.KINDS`.
    """

    learner: MetaLearner
    theta: Theta
    mask: Bool[np.ndarray, "*code"] | None
    side: int
    steps: int
    kind: str = "image"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the grid that a code describes: a patch of a picture, a whole map, a whole solid; of a view of a scene."""
        return kinds.KINDS[self.kind].modality.shape(self.side)

    @property
    def channels(self) -> int:
        """Values a pixel."""
        return 3 if self.kind == "scene" else base_siren(self.learner.field).out_dim

    @property
    def size(self) -> int:
        """Entries of a code."""
        return int(np.prod(self.learner.field.code_shape))

    @property
    def stored(self) -> Bool[np.ndarray, " P"]:
        """Which entries of a code a stream may hold: those of the shared mask; all where each signal has its own."""
        return np.ones(self.size, bool) if self.mask is None else self.mask.ravel()

    def adapt(
        self, arrays: UInt8[np.ndarray, "n *shape C"] | Float[np.ndarray, "n *shape C"] | dict[str, np.ndarray]
    ) -> Float[np.ndarray, "n *code"]:
        """The gated codes of patches, of one image or of many, of maps, of solids or of scenes."""
        compiled = functools.partial(_encoder, self.learner, self.steps)
        shared = (self.theta, self._gates())
        if self.kind == "scene":
            return _in_blocks(compiled, self._chunk, self._rays(arrays), shared)

        def of_arrays(mesh, chunk):  # Floats of one block at a time: those of a large picture take gigabytes.
            encode = compiled(mesh, chunk)
            return lambda *inputs: encode(*inputs[:-1], signals.array_to_targets(inputs[-1], len(self.shape)))

        return _in_blocks(of_arrays, self._chunk, (arrays,), (*shared, self._coords))

    def _rays(self, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Rays [n, steps, N, 6] of all views of each scene, others in every step, and their colours."""
        count, rng = arrays["views"].shape[1], np.random.default_rng(0)
        sampling = Sampling(views=count, rays=-(-_RAYS // count))
        drawn = [SCENES.draw(arrays, self.side, sampling, rng) for _ in range(self.steps)]
        return tuple(np.stack(part, axis=1) for part in zip(*drawn, strict=True))

    def render(self, codes: Float[np.ndarray, "P *code"]) -> Float[np.ndarray, "P N C"]:
        """The values of one signal's codes: a function of them alone, to the last bit."""
        return _in_blocks(functools.partial(_renderer, self.learner), self._chunk, (codes,), (self.theta, self._coords))

    def pictures(self, codes: Float[np.ndarray, "P *code"]) -> UInt8[np.ndarray, "P s s C"]:
        """What `render` computes, as patches of a picture."""

        def compiled(mesh, chunk):
            render = _renderer(self.learner, mesh, chunk)
            return lambda *inputs: signals.targets_to_image(np.asarray(render(*inputs)), self.side, self.side)

        return _in_blocks(compiled, self._chunk, (codes,), (self.theta, self._coords))

    def views(self, code: Float[np.ndarray, "*code"], cameras: dict[str, np.ndarray]) -> Float[np.ndarray, "V N 3"]:
        """What cameras see of one scene: `poses` [V, 4, 4], `intrinsics` [3]."""
        rays = SCENES.rays(cameras, self.side)
        codes = np.repeat(code[None], len(rays), axis=0)
        return _in_blocks(functools.partial(_renderer, self.learner), self._chunk, (rays, codes), (self.theta,))

    @property
    def _coords(self) -> Float[np.ndarray, "N d"]:
        return kinds.KINDS[self.kind].modality.all_coordinates(self.side)

    @property
    def _chunk(self) -> int:
        points = int(np.prod(self.shape)) * points_per_coordinate(self.learner.field)
        return max(1, min(_CHUNK, _CHUNK * 1024 // points))

    def assemble(self, values: Float[np.ndarray, "P N C"], height: int, width: int) -> Float[np.ndarray, "HW C"]:
        """The values of an image from those of its patches, of a map as they are."""
        if self.kind == "map":
            return values.reshape(height * width, self.channels)
        tiles = values.reshape(-1, self.side, self.side, self.channels)
        return patches.join(tiles, height, width).reshape(height * width, self.channels)

    def _gates(self) -> GateState | None:
        gates = self.learner.init_gates()
        if gates is None:
            return None
        mask = gates.mask if self.mask is None else jnp.asarray(self.mask)
        return gates.replace(mask=mask, frozen=jnp.ones((), bool))


@functools.cache
def _encoder(learner: MetaLearner, steps: int, mesh: Mesh, chunk_size: int) -> Callable:
    return jax.jit(functools.partial(meta.encode, learner, mesh=mesh, chunk_size=chunk_size, steps=steps))


@functools.cache
def _renderer(learner: MetaLearner, mesh: Mesh, chunk_size: int) -> Callable:
    return jax.jit(functools.partial(meta.decode, learner, mesh=mesh, chunk_size=chunk_size))


def _in_blocks(compiled: Callable, largest: int, rows: tuple[np.ndarray, ...], shared: tuple) -> np.ndarray:
    """`compiled(mesh, chunk)(*shared, *block)` of blocks of rows: one compilation whatever their number.

    A few rows (a small image) are a block of 1, 2, 4 or 8 on one device; otherwise every device has chunks of one size,
    the `largest`.
    """
    count = len(rows[0])
    devices = jax.local_devices() if count > largest else jax.local_devices()[:1]
    chunk = min(largest, 1 << (count - 1).bit_length())
    block = chunk * len(devices)
    fn = compiled(Mesh(np.array(devices), (meta.SIGNALS,)), chunk)
    results = []
    for start in range(0, count, block):
        parts = [row[start : start + block] for row in rows]
        short = block - len(parts[0])
        padded = [np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) for part in parts]
        results.append(np.asarray(fn(*shared, *padded))[: len(parts[0])])
    return np.concatenate(results)
