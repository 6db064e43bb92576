"""Data sets: every one a TFDS data set, read at random and deterministically."""

from mscn_flax.data.reading import Images, MissingDataError, Signals, batches
from mscn_flax.data.registry import DATA_SETS, load

__all__ = ["DATA_SETS", "Images", "MissingDataError", "Signals", "batches", "load"]
