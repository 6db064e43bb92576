"""TFDS data set of solids as voxels."""
