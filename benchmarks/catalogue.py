"""What there is to run and to draw, by the paper's objects. Imports no JAX."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Entry:
    """One benchmark, `benchmarks/<name>.py` with `gin/<name>.gin`.

    Attributes:
      paper: object of the paper that it reproduces.
      figures: modules of `benchmarks.figures` that draw its rows.
      datasets: what it runs on.
      methods: what is compared.
      expected: preset -> time of one seed on 2 cores, of quick beside another unless `alone` (paper: on a GPU).
      alone: whether its rows are seconds, so that nothing may run beside it.
    """

    paper: str
    figures: tuple[str, ...]
    datasets: str
    methods: str
    expected: dict[str, str]
    alone: bool = False


CATALOGUE = {
    "table1_modulations": Entry(
        paper="Table 1, Figures 4 to 6",
        figures=("table1_modulations", "fig4_reuse", "fig5_voxels", "fig6_climate", "novel_views"),
        datasets="cifar10, era5, shapenet10, srn_cars (or stand-ins); paper: celeb_a_hq for cifar10",
        methods="functa, mscn; pca",
        expected={"smoke": "40 s", "quick": "10 min", "paper": "days on a GPU (not measured)"},
    ),
    "fig2_unstructured": Entry(
        paper="Figures 2 and 3",
        figures=("fig2_unstructured", "fig3_layers", "fig3_reconstructions"),
        datasets="faces (or photos), sdf2d; paper: celeb_a, imagenette, sdf2d",
        methods="mscn (3 forms), meta_sparse_inr and its 5 baselines",
        expected={"smoke": "20 s", "quick": "8 min", "paper": "days on a GPU (not measured)"},
    ),
    "fig7_rate_distortion": Entry(
        paper="Figure 7",
        figures=("fig7_rate_distortion", "fig7_strip"),
        datasets="cifar10 (or photos), kodak",
        methods="mscn, coin_pp, coin; klt; jpeg, jpeg2000, webp, avif, jpeg_xl, bpg",
        expected={"smoke": "20 s", "quick": "10 min", "paper": "days on a GPU (not measured)"},
    ),
    "sparsity_forms": Entry(
        paper="none: the five forms of section 3.2",
        figures=("sparsity_forms",),
        datasets="faces (or photos); paper: celeb_a",
        methods="unstructured, structured, group, representational, gradient; adapted gates",
        expected={"smoke": "15 s", "quick": "2 min", "paper": "days on a GPU (not measured)"},
    ),
    "climate_rate_distortion": Entry(
        paper="none: COIN++'s comparison on ERA5",
        figures=("climate_rate_distortion",),
        datasets="era5 at 46 x 90 (or sphere_fields)",
        methods="mscn, coin_pp (its rate tuned, and as in its code); klt; jpeg2000, jpeg_xl",
        expected={"smoke": "15 s", "quick": "3 min", "paper": "days on a GPU (not measured)"},
    ),
    "codec_robustness": Entry(
        paper="none: damaged streams",
        figures=("codec_robustness",),
        datasets="damaged streams",
        methods="the codec's decoder",
        expected={"smoke": "10 s", "quick": "1 min", "paper": "6 min (estimated)"},
    ),
    "shipped_models": Entry(
        paper="none: the models that come with the package",
        figures=("shipped_models",),
        datasets="kodak (or photos), era5, kaykit_voxels",
        methods="models of the package; jpeg, webp, jpeg2000",
        expected={"smoke": "15 s", "quick": "1 min", "paper": "7 min"},
    ),
    "codec_speed": Entry(
        paper="none: what the codec's commands take",
        figures=("codec_speed",),
        datasets="kodak (or photos), put together to 6 and 24 megapixels",
        methods="mscn encode, mscn decode",
        expected={"smoke": "8 s", "quick": "2 min", "paper": "4 min"},
        alone=True,
    ),
    "outer_loop": Entry(
        paper="none: PSNR against seconds of training",
        figures=("outer_loop",),
        datasets="cifar10 (or photos), validation split",
        methods="functa, mscn: gradients, points, batches, schedules, optimisers",
        expected={"smoke": "10 s", "quick": "1 min", "paper": "days on a GPU (not measured)"},
        alone=True,
    ),
    "regimes": Entry(
        paper="none: when sparse modulations beat latents",
        figures=("regimes",),
        datasets="cifar10 (or photos), patches for kodak; validation split",
        methods="functa, mscn: steps, depth, numbers per signal; sparse_latents and levers",
        expected={
            "smoke": "20 s",
            "quick": "2 min",
            "medium": "10 h (estimated)",
            "paper": "days on a GPU (not measured)",
        },
    ),
    "speed": Entry(
        paper="none: cost of a meta-step, encoding, decoding",
        figures=("speed",),
        datasets="random signals",
        methods="this project, plain",
        expected={"smoke": "25 s", "quick": "2 min", "paper": "not measured"},
        alone=True,
    ),
    "cost_model": Entry(
        paper="none: the estimate of --dry_run",
        figures=("cost_model",),
        datasets="cifar10, era5, shapenet10 (or stand-ins)",
        methods="mscn",
        expected={"smoke": "10 s", "quick": "25 s", "paper": "not measured"},
        alone=True,
    ),
    "growth": Entry(
        paper="none: cost of a meta-step as it grows",
        figures=("growth",),
        datasets="random signals",
        methods="this project",
        expected={"smoke": "15 s", "quick": "90 s", "paper": "not measured"},
        alone=True,
    ),
}
"""Name -> benchmark, in the order in which they run."""
