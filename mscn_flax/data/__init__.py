"""Data sets, read at random and deterministically: prepared by TFDS, or exported as plain arrays."""

from mscn_flax.data.arrays import Arrays
from mscn_flax.data.reading import Images, MissingDataError, Signals, fingerprint
from mscn_flax.data.registry import DATA_SETS, DataSet, load, register

__all__ = ["DATA_SETS", "Arrays", "DataSet", "Images", "MissingDataError", "Signals", "fingerprint", "load", "register"]
