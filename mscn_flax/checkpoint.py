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

    def __init__(self, folder: pathlib.Path, *, keep: int = 2, keep_period: int | None = None):
        """`keep`: how many of the latest checkpoints stay; besides, those whose step `keep_period` divides."""
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
        """Writes `state` in the background; the arrays may be donated right after. Earlier than the latest: nothing."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def latest_step(self) -> int | None:
        """Step of the latest complete checkpoint, None where there is none."""
        return self._manager.latest_step()

    def latest_step_by(self, step: int) -> int | None:
        """The latest complete checkpoint of at most `step` outer steps, None where there is none."""
        return max((found for found in self._manager.all_steps() if found <= step), default=None)

    def restore(self, step: int, like: PyTree) -> PyTree:
        """The checkpoint of `step`, with the structure, shapes, dtypes and shardings of `like`.

        Raises:
          ValueError: where the checkpoint's arrays have other names or shapes.
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
    """Dotted path -> shape of every array."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape) for path, leaf in leaves}
