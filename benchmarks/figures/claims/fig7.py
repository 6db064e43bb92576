"""Figure 7: rates of files."""

import itertools
from collections.abc import Sequence

import pandas as pd

from benchmarks import records
from benchmarks.figures import rate_distortion, style
from benchmarks.figures.claims.claim import Claim, of_rows, seeds
from benchmarks.figures.results import Results


def _differences(results: Results, rivals: Sequence[str]) -> pd.DataFrame:
    """Least, mean (BD-PSNR) and greatest difference of MSCN's curve to rivals', and that at the lowest common rate."""
    points = rate_distortion.summary(results.compared("fig7_rate_distortion", records.RATE_COLUMNS))
    lines = []
    for (dataset, source), part in points.groupby(["dataset", "source"]):
        for method, rival in itertools.product(style.ordered(part["method"].unique(), ["mscn"]), rivals):
            recipe = method.partition(style.RECIPE)[2]
            # File formats have no recipe.
            other = rival if (part["method"] == rival).any() else f"{rival}{style.RECIPE}{style.recipe(method)}"
            curves = [rate_distortion.curve(part, one) for one in (method, other)]
            each = rate_distortion.differences(*curves)
            if len(each):
                _, mean = rate_distortion.deltas(*curves)
                about = style.dataset(dataset) + (f" ({recipe})" if recipe else "")
                own = recipe == style.recipe(method)  # Not a network as large as a rival's.
                trained = part[part["method"].isin([method, other]) & (part["outer_steps"] > 0)]
                fewest = trained["seeds"].min()
                lines.append([dataset, source, about, own, rival, fewest, each.min(), mean, each.max(), each[0]])
    columns = ["dataset", "source", "about", "own", "rival", "seeds", "least", "mean", "most", "lowest"]
    return pd.DataFrame(lines, columns=columns)


def coin_pp(results: Results) -> Claim | None:
    """The curves of MSCN and COIN++, of the same recipe."""
    found = _differences(results, ["coin_pp"])
    if found.empty:
        return None
    said = [f"{line.about}: {line.mean:+.2f} dB, {line.least:+.2f} to {line.most:+.2f}" for line in found.itertuples()]
    return Claim(
        "Figure 7",
        "MSCN is above COIN++ at every rate.",
        "mean and range over rates: " + "; ".join(said),
        of_rows(found),
        seeds(found),
        [*(found["mean"] > 0), *(found["least"] > 0)],
    )


def formats(results: Results) -> Claim | None:
    """MSCN and the file formats that the paper names, where rates are low."""
    found = _differences(results, ["jpeg", "jpeg2000"])
    found = found[found["own"].astype(bool)]  # Formats share nothing that a network could be as large as.
    if found.empty:
        return None
    said = [f"{line.about}: {line.lowest:+.1f} dB beside {style.label(line.rival)}" for line in found.itertuples()]
    return Claim(
        "Figure 7",
        "At low rates MSCN is well above JPEG and JPEG 2000.",
        "at the lowest rate that both reach, headers included: " + "; ".join(said),
        of_rows(found),
        seeds(found),
        list(found["lowest"] > 0),
    )
