"""Training checkpoints by Orbax: atomic, written in the background, the last few kept."""

import pathlib
from types import TracebackType

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree


class Checkpoints:
    """The checkpoints of one run, in a folder of their own; a context manager that waits for the last write.

    Orbax writes into a temporary folder and renames it, so that a process killed in mid-write leaves the previous
    checkpoint as the latest.
    """

    def __init__(self, folder: pathlib.Path, *, keep: int = 2):
        """`keep`: how many of the latest checkpoints stay."""
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def save(self, step: int, state: PyTree) -> None:
        """Writes `state` in the background; the arrays may be donated right after."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def latest_step(self) -> int | None:
        """Step of the latest complete checkpoint, None where there is none."""
        return self._manager.latest_step()

    def restore(self, step: int, like: PyTree) -> PyTree:
        """The checkpoint of `step`, with the structure, shapes, dtypes and shardings of `like`.

        Raises:
          ValueError: where the checkpoint's arrays have other shapes or structure.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
