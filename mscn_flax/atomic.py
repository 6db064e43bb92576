"""Files that are written whole or not at all. Imports no JAX: the plotting stage writes through it."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replaced(path: pathlib.Path, mode: str = "w") -> Iterator:
    """A file, text ("w") or binary ("wb"), that takes the place of `path` once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    newline = None if "b" in mode else ""
    with tempfile.NamedTemporaryFile(
        mode, dir=path.parent, prefix=f".{path.name}.", delete=False, newline=newline
    ) as out:
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
            os.chmod(out.name, 0o644)
            os.replace(out.name, path)
        except BaseException:
            os.unlink(out.name)
            raise
