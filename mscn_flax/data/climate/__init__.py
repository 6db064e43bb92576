"""TFDS data set of maps of near-surface temperature."""
