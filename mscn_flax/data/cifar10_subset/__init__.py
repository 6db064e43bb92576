"""TFDS data set of a prepared local copy of part of CIFAR-10."""
