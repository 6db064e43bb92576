"""Names and styles of methods that come from outside the repository: `results/<preset>/methods.json`.

A benchmark records them beside its rows, so that figures and tables can name a method without importing its code.
Imports neither JAX nor matplotlib.
"""

import json
import pathlib
from typing import NamedTuple

import filelock

from mscn_flax.atomic import replaced


class Look(NamedTuple):
    """How a method appears in figures and tables; an empty field is filled in by the plotting stage.

    Attributes:
      label: name in legends and tables.
      color: any colour of matplotlib, e.g. "#08306b".
      linestyle: "-", "--", "-." or ":".
      marker: any marker of matplotlib, e.g. "o".
    """

    label: str = ""
    color: str = ""
    linestyle: str = ""
    marker: str = ""


def record(path: pathlib.Path, looks: dict[str, Look]) -> bool:
    """Adds methods to a methods.json, in place of their previous entries; whether that changes it. Atomic, locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        before = read(path)
        if (known := before | looks) == before:
            return False
        entries = {name: {key: text for key, text in look._asdict().items() if text} for name, look in known.items()}
        with replaced(path) as out:
            out.write(json.dumps(entries, indent=2) + "\n")
    return True


def read(path: pathlib.Path) -> dict[str, Look]:
    """The methods of a methods.json in the order in which they were recorded; none where there is no such file.

    Raises:
      ValueError: where the file is not an object of objects whose fields are those of `Look`.
    """
    if not path.exists():
        return {}
    try:
        found = {name: Look(**fields) for name, fields in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        fields = ", ".join(Look._fields)
        raise ValueError(f"{path} must map each method to an object with some of {fields}: {error}") from error
    if wrong := [text for look in found.values() for text in look if not isinstance(text, str)]:
        raise ValueError(f"{path} has {wrong[0]!r} where a text is expected")
    return found
