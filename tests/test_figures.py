import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from drawing import draw, rows, write, write_table1

from benchmarks import records
from benchmarks.figures import (
    growth,
    outer_loop,
    sparsity_forms,
    speed,
    style,
    table1_modulations,
    tables,
)
from benchmarks.figures.results import Results, of_recipe, told_recipe

BLOCK_JAX = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "jaxlib", "flax", "tensorflow"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
sys.argv[0] = "plot"
import runpy
runpy.run_module("benchmarks.plot", run_name="__main__")
"""


def test_figures_from_three_rows_without_jax(tmp_path):
    write_table1(tmp_path, ("functa", 0, 16, 0, 0.01), ("mscn", 0, 16, 0, 0.008), ("mscn", 0, 32, 0, 0.004))
    masks = [
        {
            "experiment": "table1_modulations",
            "preset": "quick",
            "dataset": "cifar10",
            "source": "subset",
            "method": "mscn",
            "recipe": "",
            "seed": 0,
            "budget": budget,
            "layer": layer,
            "unit": unit,
            "run_id": f"cifar10-subset-mscn-{budget}-s0-00",
        }
        for budget, kept in ((16, [(0, 1), (0, 2)]), (32, [(0, 1), (1, 3), (0, 2)]))
        for layer, unit in kept
    ]
    write(tmp_path / "quick" / "table1_modulations_masks.csv", masks)
    command = [sys.executable, "-c", BLOCK_JAX, "table1_modulations", f"--results_dir={tmp_path}"]
    done = subprocess.run(
        [*command, f"--plots_dir={tmp_path / 'plots'}"],
        cwd=records.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "plots" / "quick").iterdir()}
    names = [f"table1_modulations.{suffix}" for suffix in ("csv", "md", "tex", "pdf", "png")]
    names += ["fig4_reuse.md", "fig4_reuse_cifar10_subset.pdf", "fig4_reuse_cifar10_subset.png"]
    assert written == {*names, "table1_margins.md", "verdict.md", "report.html"}
    assert (tmp_path / "plots" / "quick" / "table1_modulations.png").read_bytes()[:4] == b"\x89PNG"
    assert "| MSCN | mean of PSNRs | 20.97 | 23.98 |" in (tmp_path / "plots/quick/table1_modulations.md").read_text()


def test_intervals_of_one_seed_are_scipys_and_seeds_widen_them():
    rng = np.random.default_rng(0)
    psnrs = rng.normal(20, 3, 200)
    one = pd.DataFrame({"method": "mscn", "seed": 0, "signal_id": range(200), "psnr_db": psnrs})
    (found,) = tables.half_widths(one, ["method"], "psnr_db")
    theirs = scipy.stats.bootstrap((psnrs,), np.mean, method="percentile", rng=rng).confidence_interval
    assert found == pytest.approx((theirs.high - theirs.low) / 2, rel=0.1)
    three = pd.concat([one.assign(seed=seed, psnr_db=psnrs + 2 * seed) for seed in range(3)])
    assert tables.half_widths(three, ["method"], "psnr_db").item() > 2 * found
    assert np.isnan(tables.half_widths(one.head(1), ["method"], "psnr_db").item())
    missing = three[(three["seed"] > 0) | (three["signal_id"] > 0)]
    assert np.isnan(tables.half_widths(missing, ["method"], "psnr_db").item())


def test_figures_are_the_same_every_time(tmp_path):
    write_table1(tmp_path, ("mscn", 0, 16, 0, 0.008))
    before, after = ([path.read_bytes() for path in draw(table1_modulations, tmp_path)] for _ in range(2))
    assert before == after


def test_both_psnr_conventions_and_the_interval():
    mses = {0: (0.01, 0.001), 1: (0.02, 0.002), 2: (0.04, 0.001)}
    cells = [("mscn", seed, 64, signal, mse) for seed, pair in mses.items() for signal, mse in enumerate(pair)]
    frame = pd.DataFrame(rows(*cells)).assign(voxel_accuracy=np.nan, psnr_weighted_db=np.nan)
    frame = frame.assign(shared_parameters=12867, decode_flops=np.nan)
    table = table1_modulations.summary(frame)
    (line,) = table.to_dict("records")
    psnrs = [np.mean(-10 * np.log10(pair)) for pair in mses.values()]
    of_mse = [-10 * np.log10(np.mean(pair)) for pair in mses.values()]
    assert line["psnr"] == pytest.approx(np.mean(psnrs), abs=1e-4)
    assert line["psnr_of_mse"] == pytest.approx(np.mean(of_mse), abs=1e-4)
    assert 0 < line["psnr_ci95"] < np.ptp(-10 * np.log10(list(mses.values()))) / 2
    assert line["sparsity_pct"] == 75
    assert line["psnr"] >= line["psnr_of_mse"]


def test_what_is_compared_at_equal_parameters_is_a_line_of_its_own(tmp_path):
    columns = ["method", "recipe", "equal"]
    told = [
        ["mscn", "best", "network"],
        ["mscn", "best", "flops"],
        ["mscn", "published", "network"],
        ["pca", None, None],
    ]
    (tmp_path / "rates.csv").write_text(pd.DataFrame(told, columns=columns).to_csv(index=False))
    rows = Results(tmp_path).compared("rates", columns)["method"].tolist()
    assert rows == ["mscn:best", "mscn:best, equal flops", "mscn:published", "pca"]
    assert style.ordered(rows) == ["mscn:published", "mscn:best", "mscn:best, equal flops", "pca"]
    assert style.label(rows[1]) == "MSCN (best, equal flops)"
    assert style.recipe(rows[1]) == "best"
    alone = pd.DataFrame([["mscn", None, "parameters"]], columns=columns)
    (tmp_path / "alone.csv").write_text(alone.to_csv(index=False))
    assert Results(tmp_path).compared("alone", columns)["method"].tolist() == ["mscn:equal parameters"]
    assert style.recipe("mscn:equal parameters") == ""
    here = pd.DataFrame(told, columns=columns).assign(dataset="kodak", source="real")
    assert of_recipe(here)["method"].tolist() == ["mscn", "pca"]
    assert of_recipe(here, which=0)["recipe"].dropna().tolist() == ["published"]
    # A data set with one recipe alone has its own.
    other = here[here["recipe"] == "published"].assign(dataset="cifar10")
    both = of_recipe(pd.concat([here, other], ignore_index=True))
    assert both.loc[both["dataset"] == "cifar10", "recipe"].tolist() == ["published"]
    assert told_recipe(both[both["method"] == "mscn"][:1]) == "recipe best"
    assert told_recipe(both) == ""


def test_of_a_run_with_a_missing_value_there_is_no_mean():
    told = pd.DataFrame(rows(("mscn", 0, 16, 0, 0.01), ("mscn", 1, 16, 0, 0.01), ("functa", 0, 16, 0, 0.01)))
    told["psnr_db"] = told["psnr_db"].astype(float)
    told.loc[(told["method"] == "mscn") & (told["seed"] == 1) & (told["signal_id"] == 0), "psnr_db"] = np.nan
    cell = ["method", "budget"]
    table = tables.across_seeds(tables.seed_means(told, cell, {"psnr": "psnr_db"}), cell, ["psnr"]).set_index("method")
    assert np.isnan(table.loc["mscn", "psnr"])
    assert table.loc["functa", "psnr"] == 20


def test_what_tables_have_in_them_is_text():
    assert "\\& a \\# b \\$ c" in tables.latex("caption", ["x", "y"], [["& a # b $ c", "1"]])
    assert tables.markdown(["x"], [["a|b"]]).splitlines()[-1] == "| a\\|b |"


def test_the_papers_values_are_those_of_its_table():
    paper = table1_modulations.published().set_index(["dataset", "method", "budget"])["paper"]
    assert paper["shapenet10", "mscn", 64] == 99.43
    assert paper["celeb_a_hq", "functa", 64] == 21.6
    assert paper["celeb_a_hq", "mscn", 1024] == 30.9


def test_speed_is_compared_with_the_plain_version_of_the_same_size(tmp_path):
    measured = {("plain", "plain"): (1.0, 500), ("mscn_flax", "plain"): (0.5, 100), ("mscn_flax", "fast"): (0.25, 50)}
    measured_rows = []
    for (variant, sine), (seconds, memory) in measured.items():
        row = dict.fromkeys(speed.COLUMNS, 1) | {
            "device": "2 x cpu (test)",
            "variant": variant,
            "sine": sine,
            "precision": "float32",
            "task": "meta_step",
            "width": 64,
            "code": "mscn",
            "step_s": seconds,
            "temp_bytes": memory,
        }
        measured_rows.append(row)
    write(tmp_path / "quick" / "speed.csv", measured_rows)
    table = speed.compared(pd.DataFrame(measured_rows)).set_index(["variant", "sine"])
    assert table.loc[("mscn_flax", "fast"), "speedup"] == 4
    assert table.loc[("mscn_flax", "fast"), "memory_share"] == 0.1
    written = draw(speed, tmp_path)
    assert {path.name for path in written} == {
        *("speed.md", "speed.pdf", "speed.png"),
        *("speed_roofline.pdf", "speed_roofline.png"),
    }
    assert "| 4.00 |" in written[0].read_text()


def test_growth_is_an_exponent(tmp_path):
    assert growth.exponent(np.array([1, 2, 4]), np.array([3, 12, 48])) == pytest.approx(2)
    assert np.isnan(growth.exponent(np.array([1]), np.array([3])))
    grown = [("points", value, value / 100, value * 2**20) for value in (64, 256, 1024)]
    grown += [("width", value, value**2 / 100, value * 2**20) for value in (32, 64)]
    grown += [("processes", 1, 0.3, 0), ("processes", 2, 0.4, 0), ("rows", 1000, 0.1, 0), ("rows", 2000, 0.2, 0)]
    grown = pd.DataFrame(grown, columns=["factor", "value", "step_s", "temp_bytes"])
    write(tmp_path / "quick" / "growth.csv", grown.assign(device="2 x cpu (test)"))
    written = draw(growth, tmp_path)
    assert {path.name for path in written} == {"growth.md", "growth.pdf", "growth.png"}
    text = written[0].read_text()
    assert "| points per signal | 64, 256, 1024 | 0.64, 2.56, 10.2 | 1.00 | 1.00 |" in text
    assert "| width | 32, 64 | 10.2, 41 | 2.00 | 2.00 |" in text
    assert "an efficiency of 0.75" in text
    assert "Collecting 1,000, 2,000 rows beside as many that were recorded: 0.1, 0.2 s, exponent 1.00." in text


def test_the_table_of_forms_has_savings_and_speed(tmp_path):
    row = dict.fromkeys([*sparsity_forms.CELL, *sparsity_forms.MEANS, "seed", "signals"], 1) | {
        "dataset": "faces",
        "source": "standin",
        "method": "structured",
        "budget": 0.3,
        "flops_dense": 100,
        "flops_non_zero": 40,
        "flops_compacted": 50,
        "dense_s": 0.4,
        "compacted_s": 0.1,
    }
    runs = [row, row | {"method": "my_form"}]
    write(tmp_path / "quick" / "sparsity_forms_summary.csv", runs)
    signals = [run | {"signal_id": i, "psnr_db": 20 + i} for run in runs for i in range(4)]
    write(tmp_path / "quick" / "sparsity_forms.csv", signals)
    text = draw(sparsity_forms, tmp_path)[0].read_text()
    assert "| 60% | 50% | 4.00 |" in text
    assert "| my form | 1 of 1 |" in text


def test_variants_have_names_for_people():
    variants = {variant for family in outer_loop.FAMILIES.values() for variant in family.split()}
    assert variants | {"base"} == set(outer_loop.NAMES)


def test_markers_at_one_place_stand_side_by_side():
    asides = [style.dodge(index, 3, 0.6) for index in range(3)]
    assert asides == pytest.approx([-0.2, 0, 0.2])


def test_titles_name_the_data_set_and_its_source():
    assert style.named("cifar10", "subset") == "CIFAR-10 (subset)"
    assert style.named("kaykit_voxels", "standin") == "solids (KayKit, stand-in)"
    rows = pd.DataFrame({"dataset": ["kodak"], "trained_on": ["cid22 (standin)"]})
    assert style.trained_elsewhere(rows) == "trained on CID22 (stand-in)"
    assert style.trained_elsewhere(rows, str) == "trained on cid22 (stand-in)"


def test_each_data_set_of_the_outer_loop_is_compared_with_its_own_base(tmp_path):
    rows = pd.read_csv(records.REPOSITORY / "results" / "quick" / "outer_loop.csv", low_memory=False)
    others = rows.assign(dataset="photos", source="standin", psnr_db=rows["psnr_db"] + 6)
    (tmp_path / "quick").mkdir()
    pd.concat([rows, others]).to_csv(tmp_path / "quick" / "outer_loop.csv", index=False)
    drawn = outer_loop.draw(Results(tmp_path / "quick"))
    assert {"outer_loop_cifar10_subset_64", "outer_loop_photos_standin_64"} < set(drawn)
    one, two = drawn["outer_loop.md"].split("photos (stand-in)")
    alone = outer_loop.draw(Results(records.REPOSITORY / "results" / "quick"))["outer_loop.md"]
    assert one.splitlines()[2:-2] == alone.splitlines()[2:]
    assert two.count("| +0.00 |") == alone.count("| +0.00 |")
    plt.close("all")


def test_rows_trained_on_different_data_are_not_averaged(tmp_path, capsys):
    write_table1(tmp_path, ("mscn", 0, 16, 0, 0.01), ("mscn", 1, 16, 0, 0.01), ("pca", 0, 16, 0, 0.01))
    path = tmp_path / "quick" / "table1_modulations.csv"
    rows = pd.read_csv(path).assign(trained_on=["photos (standin)", "div2k (real)", "x"])
    rows.to_csv(path, index=False)
    found = Results(tmp_path / "quick").rows("table1_modulations")
    assert list(found["trained_on"]) == ["div2k (real)", "x"]
    assert "left out are those trained on photos (standin)" in capsys.readouterr().err


def test_variants_without_a_panel_are_in_the_last():
    rows = pd.DataFrame({"variant": ["base", "lion", "my_optimizer"]})
    *others, last = outer_loop._panels(rows).values()
    assert "my_optimizer" in last
    assert all("base" in panel for panel in (*others, last))
    assert not any("my_optimizer" in panel for panel in others)
