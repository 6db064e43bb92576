"""`python -m mscn_flax.data export`: a data set as plain arrays, for machines without TensorFlow Datasets."""

import argparse
import pathlib

from mscn_flax import data
from mscn_flax.data import arrays
from mscn_flax.data.reading import SPLITS
from mscn_flax.text import first_line


def main(arguments: list[str] | None = None) -> None:
    """Parses and runs the command; an error is one line and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m mscn_flax.data", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="export")
    export = commands.add_parser("export", help="write each split of a data set as arrays")
    export.add_argument("name", help=f"one of {', '.join(data.DATA_SETS)}")
    export.add_argument(
        "-o", "--output", type=pathlib.Path, required=True, help="folder; $MSCN_DATA_DIR/arrays is read"
    )
    export.add_argument("--resolution", type=int, help="pixels, latitudes or voxels per side (default: the data set's)")
    export.add_argument("--split", action="append", choices=SPLITS, help="repeatable (default: every split)")
    export.add_argument("--limit", type=int, help="largest number of signals per split")
    export.add_argument("--force", action="store_true", help="replace files that are there")
    export.add_argument("--data_dir", help="prepared local copies of data sets (default: $MSCN_DATA_DIR)")
    options = parser.parse_args(arguments)
    try:
        _export(options)
    except (ValueError, OSError) as error:
        parser.exit(2, f"error: {first_line(error)}\n")


def _export(options: argparse.Namespace) -> None:
    if options.limit is not None and options.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {options.limit}")
    known = data.DATA_SETS.get(options.name)
    if options.resolution is not None and options.resolution < 1:
        raise ValueError(f"--resolution must be at least 1, got {options.resolution}")
    resolution = options.resolution or (known.resolution if known else 0)
    splits = options.split or SPLITS
    targets = [arrays.path(options.output, options.name, resolution, split) for split in splits]
    if not options.force and (there := [target for target in targets if target.exists()]):
        raise ValueError(f"{there[0]} exists already; name another folder, or replace it by --force")
    for split, target in zip(splits, targets, strict=True):
        signals = data.load(options.name, split, resolution=resolution, data_dir=options.data_dir)
        count = arrays.write(target, signals, options.limit)
        print(f"{target}: {count:,} of {len(signals):,} signals of {signals.name}, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
