"""The check that an input is a file. Imports no JAX."""

import pathlib


def check_file(path: pathlib.Path) -> None:
    """Raises a ValueError where nothing can be read: for what is not there, a folder, a pipe or a device."""
    if not path.exists():
        raise ValueError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is {'a folder' if path.is_dir() else 'a pipe or a device'}, no file")
