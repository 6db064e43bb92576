"""TFDS data set of patches of the photographs that scikit-image ships."""
