"""Which output each input becomes, and the refusal of outputs that would destroy something. Imports no JAX."""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

Pair = tuple[pathlib.Path, pathlib.Path]
"""An input and its output."""


def no_folder(path: pathlib.Path) -> bool:
    """Whether a file that is written may take the place of what is there, which may be no device either."""
    return not path.exists() or path.is_file()


def pairs(
    inputs: list[pathlib.Path],
    output: str | None,
    ending: Callable[[pathlib.Path], str],
    takes: Callable[[pathlib.Path], bool],
    what: str,
    replaceable: Callable[[pathlib.Path], bool] = no_folder,
) -> list[Pair]:
    """Every input with its output; a folder that is not an input itself stands for the inputs in it.

    Args:
      inputs: as given; what is there twice counts once.
      output: the one output, or the folder of all; a path that ends in a slash is a folder. None for outputs beside
        their inputs.
      ending: of an input -> what takes the place of its own, where an output has no other name.
      takes: whether a path looks like an input.
      what: an input is, for people.
      replaceable: whether a path may be an output, where it exists already.

    Raises:
      ValueError: for a folder without any input, for two inputs with one output, and for a file with a slash.
    """
    sources = []
    for given in inputs:
        listed = given.is_dir() and not takes(given)
        # Names that begin with a dot are the system's.
        inside = sorted(path for path in given.glob("[!.]*") if takes(path)) if listed else [given]
        if not inside:
            raise ValueError(f"{given} has nothing that looks like {what}")
        sources += inside
    sources = list({os.path.abspath(source): source for source in reversed(sources)}.values())[::-1]
    target = None if output is None else pathlib.Path(output)
    if target is not None and output.endswith(os.sep) and target.is_file():
        raise ValueError(f"{target} is a file, no folder")
    if target is not None and set(map(os.path.abspath, inputs)) == {os.path.abspath(sources[0])}:
        # A scene is a folder itself, slash or not.
        new_folder = output.endswith(os.sep) and not target.exists() and replaceable(target)
        if not new_folder and (replaceable(target) or not target.is_dir()):
            return [(sources[0], target)]
    beside = [_beside(source, ending(source)) for source in sources]
    targets = beside if target is None else [target / path.name for path in beside]
    first: dict[pathlib.Path, pathlib.Path] = {}
    for source, target in zip(sources, targets, strict=True):
        other = first.setdefault(target.resolve(), source)
        if other is not source:
            raise ValueError(f"{other} and {source} would both become {target}; rename one")
    return list(zip(sources, targets, strict=True))


def _beside(source: pathlib.Path, ending: str) -> pathlib.Path:
    """The output beside an input; a folder has no ending, and `.` or `..` the name that it has from outside."""
    named = source.resolve() if source.name in ("", "..") else source
    return named.with_name(f"{named.name if source.is_dir() else named.stem}{ending}")


def check(
    targets: Sequence[pathlib.Path],
    inputs: Iterable[pathlib.Path],
    *,
    force: bool,
    replaceable: Callable[[pathlib.Path], bool] = no_folder,
) -> None:
    """To be called before any work, so that no batch stops half-way.

    Args:
      targets: files or folders that will be written.
      inputs: files, or folders with all that is in them, that are read.
      force: whether targets may take the place of what exists, unless it is an input.
      replaceable: whether what exists can be replaced at all.

    Raises:
      ValueError: where a target is or holds an input, by whatever name, exists and may not be replaced, or lies where
        nothing can be written.
    """
    for target in targets:
        folder = next(path for path in target.absolute().parents if path.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise ValueError(f"{target} cannot be written: {folder} is no folder that can be written to")
    needed = {_identity(path): path for given in inputs for path in _within(given)}
    for target in targets:
        for path in _within(target) if replaceable(target) else filter(pathlib.Path.exists, [target]):
            if _identity(path) in needed:
                raise ValueError(f"{target} would replace the input {needed[_identity(path)]}; name another output")
    for target in filter(os.path.lexists, targets):
        if not (force and replaceable(target)):
            remedy = ", or replace it by --force" if replaceable(target) else ""
            raise ValueError(f"{target} exists already; name another output{remedy}")


def _within(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file, or a folder and all that is in it; nothing where nothing exists."""
    if path.exists():
        yield path
        yield from (inside for inside in path.rglob("*") if inside.exists())


def _identity(path: pathlib.Path) -> tuple[int, int]:
    """The same for all names of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino
