"""Data sets that TFDS prepares: once, in a format with random access."""

import contextlib
import fcntl
import io
import os
import pathlib
import sys
from collections.abc import Sequence

import tensorflow_datasets as tfds

from mscn_flax.data.reading import MissingDataError

RECORD_FORMAT = "array_record"
"""The one TFDS file format with random access."""


def tfds_dir() -> pathlib.Path:
    """Where prepared TFDS data sets lie: $TFDS_DATA_DIR, or TFDS's own default."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def of_tfds(name: str) -> tfds.core.DatasetBuilder:
    """The builder of one of TFDS's own data sets."""
    return tfds.builder(name, data_dir=tfds_dir(), file_format=RECORD_FORMAT)


def records(builder_class: type[tfds.core.DatasetBuilder], config: tfds.core.BuilderConfig, part: str) -> Sequence:
    """The records of a part of one of this package's data sets, prepared where they are not yet."""
    builder = builder_class(config=config, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return builder.as_data_source(part)


def downloaded(name: str, config: str, title: str, standins: str) -> tfds.core.DatasetBuilder:
    """The builder of a data set that TFDS downloads.

    Raises:
      MissingDataError: where it is not prepared.
    """
    builder = of_tfds(config)
    if not is_prepared(builder):
        raise MissingDataError(
            f"{name} is not prepared in {tfds_dir()}. With a network: `tfds build {config} "
            f"--file_format={RECORD_FORMAT} --data_dir={tfds_dir()}` downloads and prepares {title}. Without: use the "
            f"stand-in {standins}."
        )
    return builder


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the data set lies prepared, in the format that can be read at random."""
    return builder.is_prepared() and builder.info.file_format.value == RECORD_FORMAT


def prepare(builder: tfds.core.DatasetBuilder, **kwargs) -> None:
    """Builds the data set's records where they are not there yet; atomic, as TFDS does it.

    Args:
      builder: of the data set.
      **kwargs: for `download_and_prepare`.
    """
    if is_prepared(builder):
        return
    folder = pathlib.Path(builder.data_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Of two processes one prepares and the other waits: TFDS alone lets both, and the later one fails.
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if builder.is_prepared():
            builder.info.read_from_directory(folder)
            return
        print(f"preparing data set {builder.info.full_name} in {builder.data_dir}, once", file=sys.stderr)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(file_format=RECORD_FORMAT, **kwargs)
