"""Parsing gin files and bindings, with errors that name the valid choices."""

import difflib
import inspect
import pathlib
import re

import gin

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
"""Folder in which the paths of gin files are looked up, besides the current one."""


def parse(files: list[str], parameters: list[str]) -> None:
    """Parses gin files and then bindings, of which later ones win, and locks the configuration.

    Raises:
      ValueError: for a missing file, or for an unknown name, with the valid names.
    """
    gin.add_config_file_search_path(str(_REPOSITORY))
    try:
        gin.parse_config_files_and_bindings(files, parameters, skip_unknown=False, finalize_config=True)
    except OSError as error:
        raise ValueError(f"cannot read a gin file: {error}") from error
    except (ValueError, SyntaxError) as error:
        raise ValueError(_with_valid_names(str(error))) from error


def _with_valid_names(message: str) -> str:
    """The first line of gin's message, followed by the valid names."""
    first = message.strip().splitlines()[0]
    if unknown := re.search(r"No configurable matching '([^']+)'", message):
        names = sorted({selector.split(".")[-1] for selector, _ in gin.config._REGISTRY.items()})
        return f"{first} {_choices(unknown.group(1), names)}"
    if unknown := re.search(r"onfigurable '([^']+)' doesn't have a parameter named '([^']+)'", message):
        target = gin.get_configurable(unknown.group(1))
        names = [name for name in inspect.signature(target).parameters if name not in ("self", "name", "parent")]
        return f"{first} {_choices(unknown.group(2), names)}"
    return first


def _choices(wrong: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wrong.split("/")[-1].split(".")[-1], names, n=1)
    return (f"Did you mean {close[0]!r}? " if close else "") + f"Valid: {', '.join(names)}."
