"""Data sets, read at random and deterministically: prepared by TFDS, or exported as plain arrays."""

from mscn_flax.data.reading import Images, MissingDataError, Signals, batches
from mscn_flax.data.registry import DATA_SETS, load

__all__ = ["DATA_SETS", "Images", "MissingDataError", "Signals", "batches", "load"]
