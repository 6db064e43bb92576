"""What commands share: work on pairs of input and output, told to people or as JSON, with errors in one line."""

import argparse
import json
import math
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from mscn_flax.outputs import Pair
from mscn_flax.text import first_line, printable

SUFFIX = ".mscn"
"""Ending of a stream's name."""

ERRORS = (ValueError, TypeError, OSError, RuntimeError, FloatingPointError, MemoryError)
"""What can go wrong with a file."""


class Done(NamedTuple):
    """What is told of a file.

    Attributes:
      lines: for people; the first goes on after the names of input and output.
      facts: the same by name, for programs.
    """

    lines: list[str]
    facts: dict


def add_force(command: argparse.ArgumentParser) -> None:
    """The flag without which nothing is replaced."""
    command.add_argument("--force", action="store_true", help="replace outputs that exist; never an input")


def add_json(command: argparse.ArgumentParser) -> None:
    """The flag that has everything told as JSON."""
    command.add_argument("--json", action="store_true", help="print one JSON object per file, one a line")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """What reads a whole number of that range from a command line."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, is {text!r}")
        return int(text)

    return read


def as_json(facts: dict) -> str:
    """One line of JSON, without the numbers that JSON does not have: null stands for them."""

    def known(value):
        if isinstance(value, dict):
            return {name: known(each) for name, each in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(facts))


def said(error: BaseException, output: pathlib.Path | str | None) -> str:
    """An error in one line; where the system's does not name the file, it is about the output."""
    if isinstance(error, OSError) and error.strerror and (error.filename or output):
        return printable(f"{error.filename or output}: {error.strerror}")
    return first_line(error)


def each(pairs: list[Pair], work: Callable[[pathlib.Path, pathlib.Path], Done], *, json: bool) -> None:
    """Does the work of each pair of input and output, and prints what is told of it; an error ends that pair alone.

    Raises:
      SystemExit: with status 1 at the end, if there was an error.
    """
    failed = 0
    for source, target in pairs:
        facts = {"input": str(source), "output": str(target)}
        try:
            done = work(source, target)
            facts, lines = facts | done.facts, [f"{source} -> {target}: {done.lines[0]}", *done.lines[1:]]
        except ERRORS as error:
            failed += 1
            message, names = said(error, target), [printable(str(path)) for path in (source, target)]
            message = message if any(name in message for name in names) else f"{names[0]}: {message}"
            print(f"error: {message}", file=sys.stderr, flush=True)
            facts, lines = facts | {"error": message}, []
        for line in [as_json(facts)] if json else map(printable, lines):
            print(line, flush=True)
    if len(pairs) > 1 and not json:
        print(f"{len(pairs) - failed} of {len(pairs)} done")
    if failed:
        sys.exit(1)
