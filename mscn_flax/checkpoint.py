"""Checkpoints of training by Orbax: atomic, written in the background, and only the latest few are kept."""

import pathlib
from types import TracebackType

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree


class Checkpoints:
    """The checkpoints of one run in a folder of their own; a context manager that waits for the last write.

    Orbax writes into a temporary folder and then renames it, so that the previous checkpoint stays the latest one if
    the process is killed while it writes.
    """

    def __init__(self, folder: pathlib.Path, *, keep: int = 2, keep_period: int | None = None):
        """Opens the folder, which need not exist.

        Args:
          folder: folder of the run's checkpoints.
          keep: number of checkpoints that are kept, the latest ones.
          keep_period: checkpoints whose step it divides are kept as well; None for none.
        """
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, keep_period=keep_period, create=True, cleanup_tmp_directories=True
        )
        # The handler is named so that a new process can ask for the shapes of what another has saved.
        handler = ocp.StandardCheckpointHandler()
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handler)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def save(self, step: int, state: PyTree) -> None:
        """Writes `state` in the background, unless a later step is saved; its arrays may be donated right after."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def latest_step(self) -> int | None:
        """Step of the latest complete checkpoint, None if there is none."""
        return self._manager.latest_step()

    def latest_step_by(self, step: int) -> int | None:
        """Step of the latest complete checkpoint that is not after `step`, None if there is none."""
        return max((found for found in self._manager.all_steps() if found <= step), default=None)

    def restore(self, step: int, like: PyTree) -> PyTree:
        """Reads the checkpoint of `step`, with the structure, shapes, types and shardings of `like`.

        Raises:
          ValueError: if the arrays of the checkpoint have other names or shapes.
        """
        saved, wanted = _shapes(self._manager.item_metadata(step).tree), _shapes(like)
        if differ := sorted(name for name in saved | wanted if saved.get(name) != wanted.get(name)):
            name = differ[0]
            raise ValueError(
                f"checkpoint of step {step}: {name} has shape {saved.get(name)}, this run needs {wanted.get(name)}"
            )
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    """Dotted path -> shape, of all arrays."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape) for path, leaf in leaves}
