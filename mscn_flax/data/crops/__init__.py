"""TFDS data set of random crops of a collection of photographs."""
