"""Kinds of signals, each in a module of its own behind the protocol of `base.Modality`. Imports no JAX."""

from mscn_flax.modalities.base import Cameras, Modality, Points, Sampling, Signal
from mscn_flax.modalities.images import IMAGES
from mscn_flax.modalities.maps import MAPS
from mscn_flax.modalities.scenes import SCENES
from mscn_flax.modalities.voxels import VOXELS

MODALITIES = {modality.name: modality for modality in (IMAGES, MAPS, VOXELS, SCENES)}
"""Name in models and streams -> modality, in the order of their numbers in streams."""

__all__ = ["IMAGES", "MAPS", "MODALITIES", "SCENES", "VOXELS", "Cameras", "Modality", "Points", "Sampling", "Signal"]
