"""One rule of scopes for all benchmarks: every binding takes effect, is warned about, or is an error."""

import importlib
import re

import pytest

from benchmarks import cli, fig2_methods, search, sparsity_forms
from benchmarks.catalogue import CATALOGUE
from benchmarks.job import TrainingJob
from mscn_flax import configuration


def setups(jobs, **of):
    """The setups of the jobs with these attributes."""
    found = [job.setup for job in jobs if all(getattr(job, name) == value for name, value in of.items())]
    assert found
    return found


def steps(jobs, **of) -> set[int]:
    return {setup.training.outer_steps for setup in setups(jobs, **of)}


@pytest.mark.parametrize(
    ("name", "scope", "method"),
    [
        ("table1_modulations", "table1/cifar10/mscn", "mscn"),
        ("table1_modulations", "table1/mscn", "mscn"),
        ("table1_modulations", "mscn", "mscn"),
        ("fig7_rate_distortion", "fig7/mscn", "mscn"),
        ("fig7_rate_distortion", "fig7/photos/mscn", "mscn"),
        ("fig2_unstructured", "fig2/mscn_meta_sgd", "mscn_meta_sgd"),
        ("fig2_unstructured", "fig2/sdf2d/mscn_meta_sgd", "mscn_meta_sgd"),
        ("sparsity_forms", "forms/structured", "structured"),
        ("climate_rate_distortion", "climate/mscn", "mscn"),
        ("outer_loop", "outer_loop/mscn/base", "mscn"),
    ],
)
def test_a_methods_training_takes_effect_everywhere(build, name, scope, method):
    jobs = build(name, f"{scope}/Training.outer_steps=7", f"{scope}/OuterOptimizer.learning_rate=0.125")
    of = {"variant": "base"} if name == "outer_loop" else {}
    if "cifar10" in scope:
        of["dataset"] = "photos"  # Its stand-in.
    rounds = (2 * 4, 2 * 20) if name == "fig2_unstructured" else (0,)
    assert steps(jobs, method=method, **of) == {7 + more for more in rounds}
    assert {setup.optimizer.learning_rate for setup in setups(jobs, method=method, **of)} == {0.125}
    trained = [job for job in jobs if hasattr(job, "setup")]
    others = [job for job in trained if job.method != method or of.items() - vars(job).items()]
    assert not others or 7 not in steps(others)


def test_a_methods_network_takes_effect_in_table_1(build):
    jobs = build("table1_modulations", "table1/mscn/Siren.width=24", "table1.datasets=['cifar10']")
    assert {setup.learner.field.width for setup in setups(jobs, method="mscn")} == {24}
    assert {setup.learner.field.siren.width for setup in setups(jobs, method="functa")} == {32}


def test_a_binding_without_scope_takes_effect_or_is_warned_about(build, capsys):
    jobs = build("fig2_unstructured", "Training.outer_steps=11")
    assert steps(jobs, method="meta_sparse_inr") == {11}
    assert capsys.readouterr().err == ""
    jobs = build("table1_modulations", "Training.batch_size=6")
    assert {setup.training.batch_size for setup in setups(jobs)} == {6, 4}
    assert capsys.readouterr().err.splitlines() == [
        "warning: Training.batch_size = 6 has no effect where srn_cars/Training.batch_size = 4 is more particular"
    ]
    build("table1_modulations", "Training.batch_size=6", "table1.datasets=['srn_cars']")
    assert capsys.readouterr().err.splitlines() == [
        "warning: Training.batch_size = 6 has no effect: srn_cars/Training.batch_size = 4 is more particular"
    ]
    # Of two on the command line the person knows.
    build("table1_modulations", "Training.views=3", "srn_cars/Training.views=2")
    assert capsys.readouterr().err == ""


def test_all_methods_of_figure_2_have_as_many_steps_as_those_that_prune(build):
    jobs = build("fig2_unstructured", f"fig2.methods={list(fig2_methods.METHODS)}", "Training.outer_steps=11")
    stops = {(job.method, round(job.budget, 4)): job.stop_step for job in jobs}
    assert len(stops) == 2 * len(fig2_methods.METHODS)
    for (method, budget), stop in stops.items():
        assert stop == (0 if method == "scratch" else {0.4096: 11 + 4 * 2, 0.0115: 11 + 20 * 2}[budget])


def test_recipe_best_of_figure_2_has_the_methods_that_are_searched(build):
    grid = ["fig2.recipes=['published', 'best']", "fig2.searched=['mscn_meta_sgd']", "fig2.rounds=[4]"]
    jobs = build("fig2_unstructured", "fig2.methods=['mscn_meta_sgd', 'scratch']", *grid)
    assert [(job.recipe, job.method, job.shown) for job in jobs] == [
        ("published", "mscn_meta_sgd", True),
        ("published", "scratch", True),
        ("best", "mscn_meta_sgd", False),
    ]


def test_a_fraction_of_figure_2_can_have_settings_of_its_own_under_recipe_best(build):
    grid = ["fig2.recipes=['published', 'best']", "fig2.searched=['meta_sparse_inr']", "fig2.rounds=[4, 9]"]
    bound = ["best/meta_sparse_inr/Siren.w0=20.0", "best/meta_sparse_inr/k4/Siren.w0=40.0"]
    jobs = build("fig2_unstructured", "fig2.methods=['meta_sparse_inr']", "fig2.apart=[4]", *grid, *bound)
    found = {(job.recipe, round(job.budget, 2)): job for job in jobs}
    published, own, others = (found[key] for key in (("published", 0.41), ("best", 0.41), ("best", 0.13)))
    assert [job.setup.learner.field.siren.w0 for job in (published, own, others)] == [30.0, 40.0, 20.0]
    # Rounds share a training where their settings are the same.
    assert published.training == found["published", 0.13].training
    assert own.training != others.training


@pytest.mark.parametrize(
    ("name", "binding", "nearest"),
    [
        ("table1_modulations", "table1/cifar11/mscn/Siren.width=16", "table1/published/cifar10/mscn/Siren.width"),
        ("table1_modulations", "tabel1/Training.outer_steps=5", "table1/era5/pca/Training.outer_steps"),
        ("table1_modulations", "table1/functa/BudgetController.close_by=0.1", "mscn/BudgetController.close_by"),
        (
            "fig7_rate_distortion",
            "fig7/published/mcsn/Siren.width=5",
            "fig7/published/photos/mscn/Siren.width",
        ),
        ("fig7_rate_distortion", "fig7/jpeg/Siren.width=5", "Siren.width"),
        ("table1_modulations", "AdamFit.learning_rate=5", "OuterOptimizer.learning_rate"),
    ],
)
def test_a_binding_that_nothing_reads_is_an_error_that_names_the_nearest(build, name, binding, nearest):
    with pytest.raises(ValueError, match=f"nothing reads {binding.split('=')[0]}; did you mean '") as raised:
        build(name, binding)
    assert nearest in str(raised.value).split("did you mean")[1]


def test_a_gin_file_of_ones_own_is_checked_like_the_command_line(build, tmp_path, capsys):
    path = tmp_path / "my.gin"
    path.write_text("include 'gin/smoke/fig2_unstructured.gin'\n\nfig2/mscn_meta_sgd/Siren.width = 8\n")
    jobs = build("fig2_unstructured", "fig2.methods=['mscn_meta_sgd']", files=[path])
    assert {setup.learner.field.siren.width for setup in setups(jobs)} == {8}
    assert capsys.readouterr().err == ""
    path.write_text(path.read_text() + "fig2/mscn_meta_sdg/Siren.depth = 3\n")
    with pytest.raises(ValueError, match=r"nothing reads fig2/mscn_meta_sdg/Siren\.depth"):
        build("fig2_unstructured", files=[path])
    # What the included preset says of methods that are not asked for is no mistake.
    path.write_text("include 'gin/smoke/fig7_rate_distortion.gin'\nfig7.methods = ['mscn']\n")
    build("fig7_rate_distortion", files=[path])


def _levers() -> str:
    """All levers of regimes, as gin has them."""
    return re.search(r"^regimes\.levers = (\{.*?^\})", (cli.GIN / "regimes.gin").read_text(), re.M | re.S)[1]


WIDE = ["gin/wide"]
"""What asks for the cells of preset quick that it leaves out, whole recipes among them."""


def whole_grids(name: str, preset: str) -> list[list[str]]:
    """Parameters that ask for all methods, variants and data that a preset's files say something of, grid by grid."""
    every = {
        "table1_modulations": ["table1.datasets=['cifar10', 'era5', 'shapenet10', 'srn_cars']"],
        "fig2_unstructured": [f"fig2.methods={list(fig2_methods.METHODS)}"],
        "sparsity_forms": [f"forms.methods={list(sparsity_forms.FORMS)}"],
        "fig7_rate_distortion": [
            "fig7.methods=['mscn', 'coin_pp', 'coin', 'klt']",
            "fig7.coin_sizes={'photos': [(2, 12)], 'kodak': [(2, 12)]}",
        ],
        "climate_rate_distortion": ["climate.methods=['mscn', 'coin_pp', 'klt']"],
        "regimes": [
            "regimes.datasets=['cifar10', 'kodak']",
            "regimes.levers="
            + re.search(r"regimes\.levers = (\{.*?\n\})", (cli.GIN / "regimes.gin").read_text(), re.S)[1],
        ],
        "cost_model": ["cost_model.cases={'images': ('cifar10', 32), 'maps': ('era5', 9), 'solids': ('solids', 16)}"],
    }
    if name != "outer_loop":
        return [every.get(name, [])]
    # One by one: a preset that does not change the steps of a variant may make it the same as another.
    text = (cli.GIN / "outer_loop.gin").read_text() + (cli.GIN / preset / "outer_loop.gin").read_text()
    return [[f"outer_loop.variants=['{variant}']"] for variant in {"base", *re.findall(r"^(\w+)/", text, re.MULTILINE)}]


@pytest.mark.parametrize("preset", cli.presets())
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_preset_composes_and_every_binding_of_it_is_read(build, name, preset):
    if not cli.has_preset(name, preset):
        pytest.skip(f"{name} has no preset {preset}")
    left = []
    for parameters in whole_grids(name, preset):
        jobs = build(name, *parameters, preset=preset, files=WIDE if preset == "quick" else [])
        assert jobs
        assert {job.preset for job in jobs} == {preset}
        # What is not trained says in one line what it would do; the sizes of trainings take a compilation.
        assert all(job.describe() for job in jobs if not isinstance(job, TrainingJob))
        if preset == "tuning":  # `python -m benchmarks tune` reads its spaces.
            search.searches(jobs)
        left.append(set(map(str, configuration.unused())))
    # What a search found of each method takes the place of the recipe's, of which then nothing is left.
    tuned = cli.GIN / "tuned" / f"{name}.gin"
    found = tuned.read_text() if tuned.exists() else ""
    assert {each for each in set.intersection(*left) if f"/{each.split('/')[-1]} =" not in found} == set()


def test_every_benchmark_has_the_presets_smoke_quick_and_paper():
    for name in CATALOGUE:
        assert all(cli.has_preset(name, preset) for preset in ("smoke", "quick", "paper"))
        assert name == importlib.import_module(f"benchmarks.{name}").NAME


def test_gins_seeds_count_unless_the_command_line_has_some(build):
    asked = ["table1.seeds=[3, 5]", "table1.datasets=['cifar10']", "table1.methods=['functa', 'mscn']"]
    assert {job.seed for job in build("table1_modulations", *asked)} == {3, 5}
    assert {job.seed for job in build("table1_modulations", *asked, flags=["--seeds=2"])} == {0, 1}


def test_results_go_to_the_folder_of_the_preset_asked_for(build, tmp_path):
    (job, *_) = build("climate_rate_distortion", preset="paper")
    assert job.preset == "paper"
    path = tmp_path / "my.gin"
    path.write_text("include 'gin/smoke/growth.gin'\n")
    for preset, folder in (("smoke", "smoke"), (None, "custom")):
        (job, *_) = build("growth", files=[path], preset=preset)
        assert job.folder.parts[-3:-1] == (folder, "growth")
