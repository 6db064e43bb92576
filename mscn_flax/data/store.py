"""Data sets that TFDS keeps: prepared once, in a format with random access."""

import contextlib
import dataclasses
import fcntl
import io
import os
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence

import tensorflow_datasets as tfds

from mscn_flax.data.reading import MissingDataError

RECORD_FORMAT = "array_record"
"""The one TFDS file format with random access."""


@dataclasses.dataclass(kw_only=True)
class Contents(tfds.core.BuilderConfig):
    """What a data set of this package holds.

    Attributes:
      features: name -> feature of a record.
      splits: split -> (key, record) of each signal; read only while the data set is prepared.
      ordered: whether the records stay in the order of their keys; else a hash of key and split decides.
    """

    features: Mapping[str, tfds.features.FeatureConnector]
    splits: Mapping[str, Iterable[tuple[str | int, Mapping]]]
    ordered: bool


class MscnFlax(tfds.core.GeneratorBasedBuilder):
    """Every data set that this package makes itself, each as one configuration."""

    VERSION = tfds.core.Version("1.0.0")  # To be raised when the records of a configuration change.

    def _info(self) -> tfds.core.DatasetInfo:
        contents = self.builder_config
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(contents.features),
            disable_shuffling=contents.ordered,
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        return dict(self.builder_config.splits)

    def _generate_examples(self):
        raise NotImplementedError  # Abstract in TFDS; the splits have their examples already.


def records(name: str, part: str, features: Mapping, splits: Mapping, *, ordered: bool = False) -> Sequence:
    """The records of a part of one of this package's data sets, prepared if they are not yet.

    Args:
      name: of what is prepared; it must name everything that decides the records.
      part: a split or a slice of one, as TFDS writes it.
      features: see `Contents`.
      splits: see `Contents`.
      ordered: see `Contents`.
    """
    contents = Contents(name=name, features=features, splits=splits, ordered=ordered)
    builder = MscnFlax(config=contents, data_dir=tfds_dir(), file_format=RECORD_FORMAT)
    prepare(builder)
    return builder.as_data_source(part)


def tfds_dir() -> pathlib.Path:
    """The folder of prepared TFDS data sets: $TFDS_DATA_DIR, or TFDS's own default."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def of_tfds(name: str) -> tfds.core.DatasetBuilder:
    """The builder of one of TFDS's own data sets."""
    return tfds.builder(name, data_dir=tfds_dir(), file_format=RECORD_FORMAT)


def downloaded(name: str, config: str, title: str, standins: str) -> tfds.core.DatasetBuilder:
    """The builder of a data set that TFDS downloads.

    Raises:
      MissingDataError: if it is not prepared.
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
    """Whether the data set is prepared in the format with random access."""
    return builder.is_prepared() and builder.info.file_format.value == RECORD_FORMAT


def prepare(builder: tfds.core.DatasetBuilder, **kwargs) -> None:
    """Writes the data set's records if they are not there yet; atomic, as TFDS does it.

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
