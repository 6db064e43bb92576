"""A codec for one's own pictures, maps, solids and scenes."""

import argparse
import os
import pathlib
import signal
import sys
import threading

from mscn_flax import garbage, shipped
from mscn_flax.commands import batch, decode, encode, info, train


def main(arguments: list[str] | None = None, models: pathlib.Path = shipped.FOLDER) -> None:
    """Parses and runs a command; an error is one line.

    Exits with status 1 where a file could not be coded, once all others are; with status 2 where nothing could be
    begun, with 130 where it was interrupted and with 143 where it was ended.

    Args:
      arguments: of the command line; None for those of this process.
      models: folder of the models that come with the package.
    """
    garbage.collect_seldom()
    if threading.current_thread() is threading.main_thread():
        # As an interruption does, so that no unfinished file stays behind.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(prog="python -m mscn_flax", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="train | encode | decode | info | models")
    for command in (train, encode, decode, info):
        command.add(commands)
    options = parser.parse_args(arguments, argparse.Namespace(shelf=shipped.Shelf(models)))
    try:
        from mscn_flax import devices

        devices.choose()
        options.run(options)
    except BrokenPipeError:
        # Who reads what is printed has seen enough, as `head` has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        parser.exit(128 + signal.SIGPIPE)
    except batch.ERRORS as error:
        parser.exit(2, f"error: {batch.said(error, getattr(options, 'output', None))}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")


if __name__ == "__main__":
    main()
