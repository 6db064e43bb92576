"""Writing files so that nothing is ever left half written. Imports no JAX."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replaced(path: pathlib.Path, mode: str = "w") -> Iterator:
    """A file, text ("w") or binary ("wb"), that takes the place of `path` once it is complete.

    Raises:
      OSError: with the name of `path`, where it cannot be written or no space is left.
    """
    try:
        with _temporary(path, mode) as out:
            yield out
    except OSError as error:
        # The system names no file or the unfinished one, of which nobody has heard.
        if error.errno and (error.filename is None or "/.mscn-" in str(error.filename)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextlib.contextmanager
def _temporary(path: pathlib.Path, mode: str) -> Iterator:
    """A file beside `path` that is renamed to it at the end, or removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    newline = None if "b" in mode else ""
    # Its name may not be longer than the one that it gets.
    with tempfile.NamedTemporaryFile(mode, dir=path.parent, prefix=".mscn-", delete=False, newline=newline) as out:
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
            os.chmod(out.name, 0o644)
            os.replace(out.name, path)
        except BaseException:
            os.unlink(out.name)
            raise
