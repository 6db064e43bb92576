"""Training checkpoints by Orbax: atomic, written in the background, the last few kept."""

import os
import pathlib
import sys
from types import TracebackType

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from mscn_flax.text import first_line

_NO_DAMAGE = ("RESOURCE_EXHAUSTED", "Too many open files", "Cannot allocate memory", "Permission denied")
"""What errors say of a machine, and not of a checkpoint."""


class Checkpoints:
    """The checkpoints of one run, in a folder of their own; a context manager that waits for the last write.

    Orbax writes into a temporary folder and renames it, so that a process killed in mid-write leaves the previous
    checkpoint as the latest.
    """

    def __init__(self, folder: str | os.PathLike | None, *, keep: int = 2, keep_period: int | None = None):
        """Opens a folder of checkpoints.

        Args:
          folder: made where it is not there; None keeps nothing at all.
          keep: number of the latest checkpoints that stay.
          keep_period: those whose step it divides stay too.
        """
        self._manager = None
        if folder is None:
            return
        folder = pathlib.Path(folder)
        if set("[]") & set(str(folder.absolute())):  # Orbax takes them for a pattern.
            raise ValueError(f"no checkpoint is found again below a folder with brackets in its name: {folder}")
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, keep_period=keep_period, create=True, cleanup_tmp_directories=True
        )
        # The handler is named so that a new process can ask for the shapes of what another has saved.
        handler = ocp.StandardCheckpointHandler()
        folder.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handler)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._manager is not None:
            self._manager.wait_until_finished()
            self._manager.close()

    def save(self, step: int, state: PyTree) -> None:
        """Writes `state` in the background; the arrays may be donated right after. Earlier than the latest: nothing."""
        if self._manager is not None:
            self._manager.save(step, args=ocp.args.StandardSave(state))

    def latest_step(self) -> int | None:
        """Step of the latest complete checkpoint, None where there is none."""
        return None if self._manager is None else self._manager.latest_step()

    def restore_latest(self, stop: int, like: PyTree, agreed=lambda step: step) -> tuple[int, PyTree]:
        """The latest checkpoint of at most `stop` outer steps: its step and state; 0 and `like` where there is none.

        A checkpoint that cannot be read is named on standard error, deleted, and the one before it taken.

        Args:
          stop: outer steps.
          like: a state of the structure, shapes, dtypes and shardings that are wanted.
          agreed: makes several processes that train as one take the same step.

        Raises:
          ValueError: where the checkpoint's arrays have other names or shapes.
        """
        while step := agreed(self._latest_by(stop)):
            try:
                return step, self._restore(step, like)
            except _Mismatch as error:
                raise ValueError(str(error)) from error
            except Exception as error:  # Orbax and TensorStore raise whatever they meet.
                if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_DAMAGE):
                    raise
                said = f"checkpoint of step {step} is damaged, going on from the one before: {first_line(error)}"
                print(said, file=sys.stderr)
                self._manager.delete(step)
        return 0, like

    def _latest_by(self, stop: int) -> int:
        steps = [] if self._manager is None else self._manager.all_steps()
        return max((step for step in steps if step <= stop), default=0)

    def _restore(self, step: int, like: PyTree) -> PyTree:
        saved, wanted = _shapes(self._manager.item_metadata(step).tree), _shapes(like)
        if differ := sorted(name for name in saved | wanted if saved.get(name) != wanted.get(name)):
            name = differ[0]
            raise _Mismatch(
                f"checkpoint of step {step}: {name} has shape {saved.get(name)}, this run needs {wanted.get(name)}"
            )
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))


class _Mismatch(Exception):
    """A checkpoint of another run: whole, but not of these arrays."""


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    """Dotted path -> shape of every array."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape) for path, leaf in leaves}
