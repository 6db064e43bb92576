"""The report, opened in a real browser where the system has Chromium: `apt install chromium`."""

import json
import re
import shutil

import pandas as pd
import pytest

from benchmarks import records
from benchmarks.figures.results import Results
from benchmarks.report import page, signals

QUICK = records.REPOSITORY / "results" / "quick"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def _part(name: str, folder, datasets: list[str]) -> None:
    """The rows of the first 40 signals of these data sets."""
    rows = pd.read_csv(QUICK / f"{name}.csv", dtype=str, keep_default_na=False)
    chosen = rows["dataset"].isin(datasets) & (rows["signal_id"].astype(int) < 40)
    rows[chosen].to_csv(folder / f"{name}.csv", index=False)
    shutil.copy(QUICK / f"{name}.provenance.jsonl", folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """A part of the committed rows, with everything that a report can show."""
    folder = tmp_path_factory.mktemp("results") / "quick"
    (folder / "table1_modulations_values").mkdir(parents=True)
    _part("table1_modulations", folder, ["cifar10", "era5"])
    _part("fig7_rate_distortion", folder, ["kodak"])
    for path in (QUICK / "table1_modulations_values").glob("era5_*"):
        shutil.copy(path, folder / "table1_modulations_values")
    shutil.copytree(QUICK / "fig7_rate_distortion_images", folder / "fig7_rate_distortion_images")
    return Results(folder)


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    """Its file."""
    plots, path = tmp_path_factory.mktemp("plots"), tmp_path_factory.mktemp("report") / "report.html"
    (plots / "table1_modulations.md").write_text("| a |\n|---|\n| <b>1</b> |\n")
    shutil.copy(records.REPOSITORY / "plots" / "quick" / "table1_modulations.png", plots)
    path.write_text(page.build(results, plots))
    return path


def test_all_that_it_shows_is_in_the_file(report):
    text = report.read_text()
    assert len(text) < 15e6
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", markup)
    assert "&lt;b&gt;1&lt;/b&gt;" in markup  # Tables may not bring markup of their own.
    assert re.findall(r"<img[^>]*>", markup)
    for image in re.findall(r"<img[^>]*>", markup):
        assert re.search(r'alt="[^"]{10,}"', image), image


def test_what_has_no_rows_is_said(report):
    missing = report.read_text().split('id="missing"')[1]
    assert "fig2_unstructured" in missing
    assert "table1_modulations" not in missing.split("</section>")[0]


def test_networks_at_equal_parameters_alone_have_numbers_and_no_pictures(tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    _part("fig7_rate_distortion", folder, ["kodak"])
    rows = pd.read_csv(folder / "fig7_rate_distortion.csv", low_memory=False)
    rows[rows["equal"] == "parameters"].to_csv(folder / "fig7_rate_distortion.csv", index=False)
    # Those of the networks that gin has of their own.
    shutil.copytree(QUICK / "fig7_rate_distortion_images", folder / "fig7_rate_distortion_images")
    (made,) = signals.collections(Results(folder))
    assert made.values
    assert made.originals
    assert not any(made.pictures.values())


def test_numbers_of_signals_are_those_of_the_rows(results):
    rows = results.rows("table1_modulations")
    cell = rows[(rows["dataset"] == "cifar10") & (rows["method"] == "functa") & (rows["recipe"] == "best")]
    made = next(each for each in signals.collections(results) if each.name == "table1-cifar10")
    index = [label for label, _ in made.series].index("Functa (best), 64")
    for signal in (0, 17):
        mean = cell[(cell["budget"] == 64) & (cell["signal_id"] == signal)]["psnr_db"].mean()
        assert made.values[index][made.signals.index(signal)] == pytest.approx(mean, abs=1e-3)
    assert sorted(made.series[index][1]) == sorted(cell[cell["budget"] == 64]["run_id"].unique())


def test_damaged_provenance_is_named(results, tmp_path):
    shutil.copytree(results.folder, tmp_path / "quick")
    path = tmp_path / "quick" / "table1_modulations.provenance.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n{no json\n")
    with pytest.raises(ValueError, match=r"table1_modulations.provenance.jsonl, line 2, is damaged"):
        page.build(Results(tmp_path / "quick"), tmp_path)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed, in which the report is looked at: apt install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=[400, 1600])
def opened(request, browser, report):
    """The report at two widths; nothing may go to the console."""
    said = []
    shown = browser.new_page(viewport={"width": request.param, "height": 900}, offline=True)
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(f"file://{report}")
    shown.wait_for_selector("html[data-ready=yes]", timeout=120_000)
    yield shown
    assert said == []
    shown.close()


def test_it_fits_a_phone_and_a_screen(opened):
    width = opened.viewport_size["width"]
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    for select in opened.query_selector_all("select"):
        box = select.bounding_box()
        assert box is None or box["x"] + box["width"] <= width


def test_a_filter_changes_what_is_shown(opened):
    def first():
        return opened.inner_text("#list tbody tr:first-child")

    before, counted = first(), opened.inner_text("#counted")
    assert "40 signals" in counted
    opened.select_option("#order", "up")
    assert first() != before
    opened.select_option("#collection", label="Table 1: ERA5 (subset) (13)")
    opened.check("#pictured")
    assert "2 signals" in opened.inner_text("#counted")
    assert len(opened.query_selector_all("#list tbody tr")) == 2


def test_a_link_to_a_signal_opens_it(opened, report):
    opened.goto(f"file://{report}#signal/fig7-kodak/14")
    opened.wait_for_selector("#signal h3:has-text('Figure 7: Kodak, signal 14')")
    assert len(opened.query_selector_all("#signal figure")) > 5
    for image in opened.query_selector_all("#signal img"):
        assert image.get_attribute("alt")
    opened.goto(f"file://{report}#signal/table1-era5/5")
    opened.wait_for_selector("#signal h3:has-text('signal 5')")
    assert "No pictures were kept" in opened.inner_text("#signal")


def test_provenance_is_a_click_away_and_keys_suffice(opened, results):
    opened.focus("#list tbody tr:first-child button")
    opened.keyboard.press("Enter")
    opened.wait_for_selector("#signal .runs button")
    opened.focus("#signal .runs button")
    run_id = opened.get_attribute("#signal .runs button", "title")
    opened.keyboard.press("Enter")
    told = opened.inner_text("#run")
    lines = (results.folder / "table1_modulations.provenance.jsonl").read_text().splitlines()
    recorded = next(found for found in map(json.loads, lines) if found["run_id"] == run_id)
    assert run_id in told
    assert recorded["commit"] in told
    assert "Parameters for table1" in told
    opened.keyboard.press("Escape")
    assert not opened.is_visible("#run")


def test_charts_change_with_their_controls(opened):
    chart = "#chart-table1_modulations"
    opened.eval_on_selector(chart, "element => element.scrollIntoView()")
    opened.wait_for_selector(f"{chart} .legendtext")

    def names():
        return [text.text_content() for text in opened.query_selector_all(f"{chart} .legendtext")]

    assert "PCA (linear)" in names()
    opened.select_option('[data-chart="table1_modulations"] [data-control="data"]', label="ERA5 (subset), PSNR (dB)")
    opened.wait_for_function(
        f"() => ![...document.querySelectorAll('{chart} .legendtext')].some(t => t.textContent === 'PCA (linear)')"
    )
    assert "MSCN (best)" in names()
