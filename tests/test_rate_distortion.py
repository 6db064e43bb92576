"""Figure 7: the benchmark on a few patches, and what the figure makes of its rows."""

import dataclasses
import itertools
import math
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
import pytest

from benchmarks import codec_robustness, csv_files, evaluation, records
from benchmarks.figures import (
    climate_rate_distortion,
    fig7_rate_distortion,
    fig7_strip,
    output,
    published_curves,
    rate_distortion,
    style,
)
from benchmarks.figures.results import Results
from mscn_flax.modalities import maps
from mscn_flax.siren import base_siren

CODECS = "fig7.real_codecs=['jpeg', 'bpg']"


@pytest.fixture(scope="module")
def folder(ran):
    return ran("fig7_rate_distortion", CODECS)


def _rows(folder) -> pd.DataFrame:
    return csv_files.read(folder / "results" / "smoke" / "fig7_rate_distortion.csv", records.RATE_COLUMNS)


def test_every_method_has_one_row_per_image_and_setting(folder):
    found = _rows(folder)
    counts = found.groupby("method").size()
    assert counts["mscn"] == counts["coin_pp"] == counts["klt"] == 4 * (2 + 1)
    assert counts["coin"] == 2
    assert counts["jpeg"] == 4 * 14
    assert set(found["method"]) == {"mscn", "coin_pp", "klt", "coin", "jpeg"}
    np.testing.assert_allclose(found["bpp"], 8 * found["bytes"] / found["pixels"], rtol=1e-4)
    coded = found[found["bits"].isin([4, 5])]
    assert set(coded["trained_on"]) == {"photos (standin)"}
    assert ((coded["bpp_payload"] - coded["bpp_entropy"]).abs() * coded["pixels"] / 8 < 3).all()
    assert ((coded["bpp"] - coded["bpp_payload"]) * coded["pixels"] / 8 <= 16).all()
    exact = found[found["bits"] == 32]
    assert set(exact["bytes"]) == {4 * 8}


def test_at_equal_parameters_mscn_is_as_wide_as_coin_pp_allows(build, tmp_path):
    name, wide = "fig7_rate_distortion", records.REPOSITORY / "gin" / "wide"
    jobs = build(name, "fig7.datasets=['kodak']", preset="quick", files=[wide])
    made = {(job.budget, job.method, job.recipe, job.equal): job for job in jobs if getattr(job, "equal", "")}
    assert {key[1:3] for key in made if key[3] == "parameters"} == {("mscn", "best")}

    def size(job, more=0):
        field = job.setup.learner.field
        if more:
            field = dataclasses.replace(field, width=field.width + more)
        learner = dataclasses.replace(job.setup.learner, field=field)
        return evaluation.cost(learner, job.setup.modality, job.setup.resolution)["shared_parameters"]

    for budget in (64, 192):
        job, rival = made[budget, "mscn", "best", "parameters"], made[budget, "coin_pp", "best", "network"]
        assert size(job) <= size(rival) < size(job, more=1)
        assert "-best-parameters-s0" in job.cell
        assert not job.shown
        (tmp_path / "own.gin").write_text(job.gin)
        (again,) = build(name, preset=None, files=[tmp_path / "own.gin"])
        assert again.id == job.id


def test_a_network_that_grows_in_another_way_is_as_wide_as_its_rival_allows(build, monkeypatch):
    monkeypatch.setattr(evaluation, "cost", lambda made, *_: {"shared_parameters": base_siren(made.field).width ** 6})
    wide = records.REPOSITORY / "gin" / "wide"
    jobs = build("fig7_rate_distortion", "fig7.datasets=['kodak']", preset="quick", files=[wide])
    made = {(job.method, job.recipe, job.equal): job for job in jobs if getattr(job, "equal", "")}
    ours, theirs = (
        base_siren(made[key].setup.learner.field).width
        for key in (("mscn", "best", "parameters"), ("coin_pp", "best", "network"))
    )
    assert ours == theirs


def test_models_can_be_used_and_a_second_call_does_nothing(folder):
    models = list((folder / "runs").rglob("*.safetensors"))
    assert len(models) == 4
    before = _rows(folder)
    command = [sys.executable, "-m", "benchmarks.fig7_rate_distortion", "--preset=smoke", f"--gin_param={CODECS}"]
    command += [f"--{kind}_dir={folder / kind}" for kind in ("results", "runs", "data")]
    done = subprocess.run(command, cwd=records.REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done before") == 5
    pd.testing.assert_frame_equal(_rows(folder), before)


def test_the_figure_is_drawn_from_the_rows(folder, tmp_path):
    results = Results(folder / "results" / "smoke")
    written = output.write(fig7_rate_distortion.draw(results), tmp_path)
    assert {path.suffix for path in written} == {".csv", ".md", ".pdf", ".png"}
    text = (tmp_path / "fig7_rate_distortion.md").read_text()
    assert "photos (stand-in), 4 test images" in text
    assert fig7_strip.draw(results) == {}  # Not Kodak.


def test_maps_have_rows_and_a_figure(ran, tmp_path):
    results = ran("climate_rate_distortion") / "results" / "smoke"
    found = csv_files.read(results / "climate_rate_distortion.csv", records.RATE_COLUMNS)
    networks = dict.fromkeys(["coin_pp", "klt", "mscn"], 4 * 3)
    assert found.groupby("method").size().to_dict() == networks | {"jpeg2000": 4 * 14}
    assert set(found["pixels"]) == {10 * 18}
    np.testing.assert_allclose(found["bpp"], 8 * found["bytes"] / found["pixels"], rtol=1e-4)
    coded = found[found["bits"].isin([5, 6])]
    assert ((coded["bpp_payload"] - coded["bpp_entropy"]).abs() * coded["pixels"] / 8 < 3).all()
    drawn = climate_rate_distortion.draw(Results(results))
    written = output.write(drawn, tmp_path)
    assert {path.suffix for path in written} == {".md", ".pdf", ".png"}
    assert "sphere_fields (stand-in), 4 test maps" in written[0].read_text()


def test_decibels_of_maps_are_kelvin():
    kelvin = climate_rate_distortion.to_kelvin(40.0)
    assert kelvin == pytest.approx(1.1827)
    assert -10 * math.log10(maps.to_unit(np.array([maps.LOW_K + kelvin]))[0] ** 2) == pytest.approx(40, abs=1e-3)
    assert climate_rate_distortion.to_psnr(kelvin) == pytest.approx(40, abs=1e-3)


CURVE = pd.DataFrame({"rate": [0.1, 0.2, 0.4, 0.8], "psnr": [20.0, 22.0, 24.5, 27.0]})


def test_deltas_of_known_curves():
    assert rate_distortion.deltas(CURVE, CURVE) == pytest.approx((0, 0), abs=1e-9)
    half = CURVE.assign(rate=CURVE["rate"] / 2)
    rate, psnr = rate_distortion.deltas(half, CURVE)
    assert rate == pytest.approx(-50)
    assert psnr > 2
    assert rate_distortion.deltas(CURVE.assign(psnr=CURVE["psnr"] + 1), CURVE)[1] == pytest.approx(1)
    far = CURVE.assign(psnr=CURVE["psnr"] + 50)
    assert math.isnan(rate_distortion.deltas(far, CURVE)[0])
    assert math.isnan(rate_distortion.deltas(CURVE[:1], CURVE)[0])


def test_differences_at_common_rates_have_bd_psnr_as_their_mean():
    other = CURVE.assign(rate=CURVE["rate"] * 1.3, psnr=CURVE["psnr"] + np.linspace(-0.5, 3, len(CURVE)))
    each = rate_distortion.differences(other, CURVE)
    assert each.min() < 0 < each.max()
    assert each.mean() == pytest.approx(rate_distortion.deltas(other, CURVE)[1], abs=0.02)
    assert not len(rate_distortion.differences(CURVE.assign(rate=CURVE["rate"] * 1e6), CURVE))


def test_a_method_with_fewer_seeds_is_named():
    methods = {"method": ["mscn", "coin_pp", "mscn", "klt"], "seeds": [3, 1, 3, 1], "outer_steps": [9, 9, 9, 0]}
    coded = pd.DataFrame(methods)
    assert rate_distortion.seeds(coded) == "3 seeds (COIN++: 1)"
    assert rate_distortion.seeds(coded[coded["method"] == "mscn"]) == "3 seeds"


def test_a_curve_of_several_bits_is_the_hull_of_its_points():
    rates, psnr = [1.0, 2, 3, 4, 6], [20.0, 24, 24.5, 27, 28]
    rows = [
        {"coding": "transform", "bits": b, "bpp": r, "psnr": q}
        for b, r, q in zip((5, 6, 5, 6, 5), rates, psnr, strict=True)
    ]
    rows += [{"coding": "plain", "bits": 32, "bpp": 64.0, "psnr": 30.0}]
    points = pd.DataFrame(rows).assign(method="mscn")
    found = rate_distortion.curve(points, "mscn")
    # The third lies below the line between its neighbours.
    assert found["rate"].tolist() == [1.0, 2, 4, 6]


def test_a_curve_rises():
    points = pd.DataFrame(
        {"method": "jpeg", "coding": "", "bits": 0, "bpp": [3.0, 1, 2, 4, 4], "psnr": [30.0, 20, 19, 35, 35]}
    )
    assert list(rate_distortion.curve(points, "jpeg")["psnr"]) == [20, 30, 35]


def test_published_points_of_the_authors_are_there():
    curves = rate_distortion.published("kodak")
    assert curves["MSCN"]["rate"].iloc[0] == pytest.approx(0.068714)
    assert curves["MSCN"]["psnr"].iloc[-1] == pytest.approx(30.055)
    assert rate_distortion.published("photos") == {}


def test_figures_show_at_most_five_published_curves():
    for dataset in rate_distortion.PUBLISHED:
        curves = rate_distortion.shown_published(dataset)
        assert set(curves) <= set(rate_distortion.published(dataset))
        assert 1 <= len(curves) <= published_curves.MOST == 5
    figure, ((axis,),) = style.grid(1, 1, 4, 4)
    lines = published_curves.draw(axis, rate_distortion.shown_published("kodak"))
    published_curves.name_ends(axis, lines)
    assert lines["MSCN, published"].get_color() == style.look("mscn")["color"]
    names = {text.get_text(): text for text in axis.texts}
    assert set(names) == set(lines)
    # Every name is within the axis, and hides no other one.
    boxes = [text.get_window_extent() for text in names.values()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(axis.bbox.contains(*box.min) and axis.bbox.contains(*box.max) for box in boxes)
    many = {f"curve {index}": np.eye(2) for index in range(9)}
    assert len(published_curves.draw(axis, many)) == published_curves.MOST
    plt.close(figure)


def test_the_strip_shows_what_is_nearest_in_rate(tmp_path):
    folder = tmp_path / "quick"
    base = dict.fromkeys(records.RATE_COLUMNS, "") | {"dataset": "kodak", "source": "real", "seed": 0, "signal_id": 14}
    rows, names = [], ["original"]
    for method, bits, points in (("mscn", 5, [(32, 0.2), (64, 0.3)]), ("coin_pp", 5, [(32, 0.2), (64, 0.31)])):
        rows += [
            base | {"method": method, "coding": "plain", "bits": bits, "budget": n, "bpp": r, "psnr8_db": 25}
            for n, r in points
        ]
        names += [f"{method}_{n}_5b" for n, _ in points]
    for method in ("jpeg", "jpeg2000"):
        rows += [base | {"method": method, "budget": q, "bpp": r, "psnr8_db": 25} for q, r in [(1, 0.1), (7, 0.29)]]
        names += [f"{method}_1", f"{method}_7"]
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "fig7_rate_distortion.csv", index=False)
    for name in names:
        (folder / "fig7_rate_distortion_images").mkdir(exist_ok=True)
        PIL.Image.new("RGB", (8, 8)).save(folder / "fig7_rate_distortion_images" / f"14_{name}.png")
    chosen = fig7_strip.chosen(pd.DataFrame(rows))
    assert list(chosen.values()) == ["original", "mscn_64_5b", "coin_pp_64_5b", "jpeg_7", "jpeg2000_7"]
    written = output.write(fig7_strip.draw(Results(folder)), tmp_path / "plots")
    assert [path.suffix for path in written] == [".pdf", ".png"]
    (folder / "fig7_rate_distortion_images" / "14_mscn_64_5b.png").unlink()
    assert fig7_strip.draw(Results(folder)) == {}  # Rows whose pictures are elsewhere.
    # Rows of other images, or of a method less, than those that pictures were kept of.
    for left in (pd.DataFrame(rows).assign(signal_id=3), pd.DataFrame(rows).query("bits != 5 or method == 'mscn'")):
        left.to_csv(folder / "fig7_rate_distortion.csv", index=False)
        assert fig7_strip.draw(Results(folder)) == {}


def test_file_formats_alone_ask_for_networks(tmp_path):
    rows = pd.read_csv(records.REPOSITORY / "results" / "quick" / "fig7_rate_distortion.csv", low_memory=False)
    rows = rows[(rows["dataset"] == "cifar10") & rows["method"].isin(["jpeg", "jpeg2000"]) & (rows["signal_id"] < 20)]
    (tmp_path / "quick").mkdir()
    rows.to_csv(tmp_path / "quick" / "fig7_rate_distortion.csv", index=False)
    with pytest.raises(ValueError, match="has rows of JPEG, JPEG 2000 alone; run networks too"):
        fig7_rate_distortion.draw(Results(tmp_path / "quick"))


def test_damage_changes_streams_and_repairs_checksums():
    rng = np.random.default_rng(0)
    stream = bytes(range(40))
    damaged = [codec_robustness.mutated(stream, rng, repair) for repair in (False, True) for _ in range(50)]
    assert sum(data != stream for data in damaged) > 90
    assert len({len(data) for data in damaged}) > 5
