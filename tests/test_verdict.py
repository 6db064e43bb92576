"""The verdict on the paper's claims follows from the rows, whatever they say."""

import re

import pandas as pd
import pytest

from benchmarks import pages, records
from benchmarks.figures import verdict
from benchmarks.figures.claims import margins as cells
from benchmarks.figures.claims.claim import Claim
from benchmarks.figures.results import Results

QUICK = records.REPOSITORY / "results" / "quick"
RESULTS = Results(QUICK)
"""Read once for all tests."""


@pytest.fixture(scope="module")
def found() -> dict[str, Claim]:
    return {claim.claim: claim for claim in verdict.claims(RESULTS)}


def _claim(found, beginning: str) -> Claim:
    return next(claim for text, claim in found.items() if text.startswith(beginning))


def test_what_is_committed_is_what_the_rows_say():
    for name, text in verdict.draw(RESULTS).items():
        assert (records.REPOSITORY / "plots" / "quick" / name).read_text() == text


def test_a_claim_holds_wholly_in_part_or_not():
    claim = Claim("Table 1", "", "", "", "1", [True, True])
    assert claim.reproduced == "yes"
    assert claim._replace(holds=[True, False]).reproduced == "in part"
    assert claim._replace(holds=[False]).reproduced == "no"
    assert claim._replace(holds=None).reproduced == "–"


def test_every_table_and_figure_with_a_claim_is_judged(found):
    assert {claim.paper for claim in found.values()} == {
        "Table 1",
        *(f"Figure {n}" for n in "24567"),
        "Figure 3a",
        "Figure 3b",
        "–",
    }
    for claim in found.values():
        assert claim.reproduced in ("yes", "in part", "no", "–")
        assert claim.measured
        assert claim.data
        assert re.fullmatch(r"[1-9]\d*( to [1-9]\d*)?", claim.seeds)


def test_stand_ins_and_subsets_are_named_as_such(found):
    for claim in found.values():
        for name in ("CIFAR-10", "ERA5"):
            assert f"{name} (subset)" in claim.data or name not in claim.data
        for name in ("faces", "KayKit)", "distance fields"):
            assert f"{name} (stand-in)" in claim.data or name not in claim.data


def _few() -> pd.DataFrame:
    """The rows of Table 1, as text, for twenty signals of each cell."""
    rows = pd.read_csv(QUICK / "table1_modulations.csv", dtype=str)
    return rows[rows["signal_id"].astype(int) < 20].reset_index(drop=True)


def _written(tmp_path, rows: pd.DataFrame) -> Results:
    folder = tmp_path / "quick"
    folder.mkdir()
    rows.to_csv(folder / "table1_modulations.csv", index=False)
    return Results(folder)


def _changed(tmp_path, gain: float):
    """The rows of Table 1 with MSCN better by `gain` dB and hundredths of accuracy."""
    rows = _few()
    ours = rows["method"] == "mscn"
    for column, unit in (("psnr_db", 1), ("voxel_accuracy", 0.01)):
        rows.loc[ours, column] = (rows.loc[ours, column].astype(float) + gain * unit).astype(str).replace("nan", None)
    return _written(tmp_path, rows)


@pytest.mark.parametrize(("gain", "answer"), [(3.0, "yes"), (-3.0, "no")])
def test_the_verdict_follows_the_rows(tmp_path, gain, answer):
    found = {claim.claim: claim for claim in verdict.claims(_changed(tmp_path, gain))}
    assert _claim(found, "MSCN is above Functa").reproduced == answer
    assert _claim(found, "Solids are").reproduced == answer
    assert _claim(found, "Maps have").reproduced == answer


def test_a_stand_in_beside_the_data_set_is_told_apart_from_it(tmp_path):
    rows = _few()
    maps = rows[rows["dataset"] == "era5"]
    ours = maps[maps["seed"] == "0"].assign(dataset="sphere_fields", source="standin")
    ours["run_id"] = ours["run_id"].str.replace("era5-subset", "sphere_fields-standin")
    found = {claim.claim: claim for claim in verdict.claims(_written(tmp_path, pd.concat([rows, ours])))}
    about = _claim(found, "Maps have")
    assert about.data == "ERA5 (subset), made-up maps (stand-in)"
    assert re.search(r"ERA5 \(subset\), at 192 numbers: .*; made-up maps \(stand-in\), at 192", about.measured)
    assert about.seeds == "1 to 3"
    assert _claim(found, "Solids are").seeds == "3"


def test_a_margin_stands_at_its_number_of_non_zeros():
    rows = [(64, "published", -0.23), (32, "best", 0.5), (64, "best", 0.001)]
    frame = pd.DataFrame(
        [("cifar10", "subset", budget, recipe, value, "dB") for budget, recipe, value in rows],
        columns=["dataset", "source", "budget", "comparison", "difference", "unit"],
    )
    *_, line = cells.by_cell(frame).strip().splitlines()
    assert line.endswith("| 32, 64 | –, -0.23 | **+0.50**, 0.00 |")


def test_margins_are_differences_of_the_same_recipe():
    rows = pd.read_csv(QUICK / "table1_modulations.csv")
    found = cells.margins(RESULTS)
    at = found[(found["dataset"] == "cifar10") & (found["budget"] == 128)].set_index("comparison")["difference"]
    rows = rows[(rows["dataset"] == "cifar10") & (rows["budget"] == 128)]
    mean = rows.groupby(["method", "recipe", "equal"])["psnr_db"].mean()
    for recipe in records.RECIPES:
        assert at[recipe] == pytest.approx(
            mean["mscn", recipe, "network"] - mean["functa", recipe, "network"], abs=1e-3
        )
    wider = mean["mscn", "best", "parameters"] - mean["functa", "best", "network"]
    assert at["best, equal parameters"] == pytest.approx(wider, abs=1e-3)


def test_nothing_is_said_without_rows(tmp_path):
    (tmp_path / "quick").mkdir()
    assert verdict.draw(Results(tmp_path / "quick")) == {}


def test_pages_take_the_tables_of_the_plots(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.md").write_text("| new |\n")
    page = tmp_path / "README.md"
    other = "<!-- begin plots/b.md -->\nkept\n<!-- end -->\n"
    page.write_text(f"before\n<!-- begin plots/a.md -->\n| old |\n<!-- end -->\nafter {other}")
    assert pages.fill(tmp_path) == [page]
    assert page.read_text() == f"before\n<!-- begin plots/a.md -->\n| new |\n<!-- end -->\nafter {other}"
    assert pages.fill(tmp_path) == []
