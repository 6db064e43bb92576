"""Figure 4: which modulations masks share, and which by chance."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.figures import fig4_reuse


def random_masks(rng, gates, counts, draws):
    """`draws` masks of `counts[l]` random units of each layer, as lines (seed, layer, unit)."""
    return [
        (seed, layer, unit)
        for seed in range(draws)
        for layer, count in enumerate(counts)
        for unit in rng.permutation(gates // len(counts))[:count]
    ]


def test_reuse_is_the_share_of_the_smaller_set():
    masks = pd.DataFrame(
        [(0, 2, 0, 1), (0, 2, 0, 2), (0, 4, 0, 1), (0, 4, 1, 1), (0, 4, 1, 2), (0, 4, 1, 3), (1, 4, 0, 2)],
        columns=["seed", "budget", "layer", "unit"],
    )
    (line,) = fig4_reuse.reuse(masks, 8).to_dict("records")
    shares = {"same_seed": 0.5, "other_seed": 0.5, "same_counts": 0.25, "uniform": 0.5}
    assert line == {"seed": 0, "small": 2, "large": 4} | shares


def test_random_choices_reuse_what_is_expected_of_them():
    rng = np.random.default_rng(0)
    small, large = (random_masks(rng, 64, counts, 400) for counts in ((12, 4), (24, 16)))
    masks = pd.DataFrame([(16, *line) for line in small] + [(40, *line) for line in large])
    pairs = fig4_reuse.reuse(masks.set_axis(["budget", "seed", "layer", "unit"], axis=1), 64)
    assert pairs["same_counts"].unique() == pytest.approx([(12 * 24 / 32 + 4 * 16 / 32) / 16])
    assert pairs["uniform"].unique() == pytest.approx([40 / 64])
    assert pairs["same_seed"].mean() == pytest.approx(pairs["same_counts"].mean(), abs=0.02)


def test_a_last_layer_that_keeps_nothing_is_a_layer():
    masks = pd.DataFrame(
        [(0, 2, 0, 1), (0, 2, 1, 5), (0, 4, 0, 1), (0, 4, 1, 5), (0, 4, 0, 2), (0, 4, 1, 3)],
        columns=["seed", "budget", "layer", "unit"],
    )
    assert fig4_reuse.layers_of(masks, 21) == 3
    (line,) = fig4_reuse.reuse(masks, 21).to_dict("records")
    assert line["same_counts"] == pytest.approx(2 / 7)
