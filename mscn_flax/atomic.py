"""Writing files so that nothing is ever left half written. Imports no JAX."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

_UMASK = os.umask(0o077)
os.umask(_UMASK)  # To ask for it is to set it.


@contextlib.contextmanager
def replaced(path: str | os.PathLike, mode: str = "w") -> Iterator:
    """A file, text ("w") or binary ("wb"), that takes the place of `path` once it is complete.

    Raises:
      OSError: with the name of `path`, where it cannot be written or no space is left.
    """
    try:
        with _temporary(pathlib.Path(os.path.realpath(path)), mode) as out:
            yield out
    except OSError as error:
        # The system names no file or the unfinished one, of which nobody has heard.
        if error.errno and (error.filename is None or "/.mscn-" in str(error.filename)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextlib.contextmanager
def _temporary(path: pathlib.Path, mode: str) -> Iterator:
    """A file beside `path` that is renamed to it at the end, or removed; as open to others as what it replaces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode_bits = path.stat().st_mode & 0o777 if path.is_file() else 0o666 & ~_UMASK
    newline = None if "b" in mode else ""
    # Its name may not be longer than the one that it gets.
    with tempfile.NamedTemporaryFile(mode, dir=path.parent, prefix=".mscn-", delete=False, newline=newline) as out:
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
            os.chmod(out.name, mode_bits)
            os.replace(out.name, path)
        except BaseException:
            os.unlink(out.name)
            raise
