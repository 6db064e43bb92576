"""TFDS data set of signed distance functions of random shapes."""
