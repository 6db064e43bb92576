"""TFDS data set of a prepared local copy of the Kodak images."""
