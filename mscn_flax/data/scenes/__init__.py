"""TFDS data set of views of scenes."""
