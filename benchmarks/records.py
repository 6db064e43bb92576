"""The CSV schema of the whole project, which `csv_files` writes and reads."""

import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
"""The repository, or where the package is installed."""

_IN_REPOSITORY = (REPOSITORY / "pyproject.toml").is_file()

HOME = REPOSITORY if _IN_REPOSITORY else pathlib.Path.cwd()
"""Folder below which results, plots and runs go by default."""

PUBLISHED = REPOSITORY / ("results/published" if _IN_REPOSITORY else "benchmarks/published")
"""Published figures of other codes and papers, with their sources."""

RECIPES = ("published", "best")
"""How a method is trained: as its reference does, at the preset's size, or with what the search on the validation split
found for it, which had as many trials for each method (`benchmarks/tune.py`)."""


def kept_as(label: str, recipe: str | None) -> str:
    """What a picture or values of a run are kept as, so that one recipe's do not replace another's."""
    return f"{label}_{RECIPES[0]}" if recipe == RECIPES[0] else label


EQUAL = ("network", "parameters", "flops")
"""What methods are compared at: one and the same base network, or the widest that has no more `shared_parameters`, or
no more `decode_flops`, than latent map and base network together of Functa (Table 1) or COIN++ (rates). In rates, where
each method has the network that suits it, "network" stands for that one."""

COLUMNS = (
    "experiment",  # the benchmark, e.g. table1_modulations
    "preset",  # smoke, quick, paper, ... or custom
    "dataset",
    "source",  # real, subset (of the real data) or standin (other data)
    "method",
    "recipe",  # one of RECIPES; empty where all methods have one and the same
    "seed",
    "budget",  # non-zeros of the fitted code, as measured
    "budget_unit",  # modulations, latents, coefficients, fraction or weights; of a file codec the name of its setting
    "surviving_fraction",  # what the budget counts over what could be non-zero; fig2_unstructured: over all weights
    "kept_weights",  # non-zeros among the weights of what is counted (delta or the network)
    "kept_biases",
    "weights",  # of the full network
    "biases",
    "shared_parameters",  # numbers that the decoder reads besides the code, without masks; PCA: mean and basis
    "decode_flops",  # of decoding one signal, of a scene one view: 2 per multiplication and addition, 1 per sine
    "signal_id",  # index in the split that was evaluated
    "inner_steps",
    "inner_optimizer",
    "outer_steps",
    "psnr_db",  # of the field's values as they are
    "psnr8_db",  # after clipping and rounding to 8 bits
    "mse",
    "voxel_accuracy",
    "bytes",
    "bpp",
    "bpp_entropy",
    "encode_s",  # per signal, within a batch, without compilation
    "decode_s",
    "run_id",  # cell of the grid, then a digest of its configuration
)
"""One row per test signal and random seed. A column that does not apply stays empty."""

MODULATION_COLUMNS = (
    *COLUMNS,
    "equal",  # what the method has as much of as Functa, one of EQUAL; empty for a linear code
    "psnr_weighted_db",  # maps of the globe: squared errors weighted by the cosine of the latitude
    "trained_on",  # data set and its source
)

RATE_COLUMNS = (
    *COLUMNS,
    "bits",  # per quantised modulation; 32: float32 codes; 16: COIN's weights
    "pixels",  # of the image, or points of the map
    "bpp_payload",  # `bpp` without the file's headers; empty where the format has none to take off
    "trained_on",  # what the network was trained on
    "coding",  # "plain", or what of a transform, contexts and overlap there is, see `rates_networks.Coding`
    "equal",  # what the method has as much of as COIN++, one of EQUAL; empty for what is no such network
)

SHOWN_BITS = {"plain": 5, "transform+contexts+overlap": 6}
"""Coding -> bits at which pictures are kept for figure 7's strip."""

MASK_COLUMNS = ("experiment", "preset", "dataset", "source", "method", "recipe", "seed", "budget")
MASK_COLUMNS += ("layer", "unit", "run_id")
"""One row per modulation that a run's shared mask keeps."""

LAYER_COLUMNS = (*MASK_COLUMNS[:9], "kind", "kept", "size", "run_id")
"""One row per array of the network (`kind` is kernel or bias): entries kept, of all."""

FORMS_SUMMARY_COLUMNS = (
    "experiment",
    "preset",
    "dataset",
    "source",
    "method",
    "recipe",
    "seed",
    "budget",  # fraction of the gates
    "gates",
    "open_gates",
    "signals",
    "psnr_db",  # mean over test signals
    "kept_fraction",  # non-zeros over all parameters, of theta0 + delta; of delta for gradient and delta forms
    "overlap",  # of the patterns of two signals: gates in common over gates open, mean over pairs
    "flops_dense",  # of a forward pass per point; the network theta0 + delta of the first test signal
    "flops_non_zero",  # of the non-zero weights alone
    "flops_compacted",  # of the compacted network
    "dense_s",  # of a forward pass on `points` points, median
    "compacted_s",
    "points",
    "largest_difference",  # of an output value, compacted against gated
    "device",
    "run_id",
)
"""One row per run of sparsity_forms."""

ROBUSTNESS_COLUMNS = (
    "experiment",
    "preset",
    "model",
    "checksum",  # as it was, or repaired
    "mutations",
    "refused",
    "decoded",
    "slowest_ms",
    "peak_kib",  # most memory that one stream made the decoder take
    "stream_bytes",
    "seed",
    "run_id",
)

OUTER_LOOP_COLUMNS = (
    "experiment",
    "preset",
    "dataset",
    "source",
    "variant",
    "method",
    "recipe",
    "budget",
    "seed",
    "outer_steps",  # of the whole run, to which its schedules refer
    "step",  # after which it was judged
    "train_s",  # seconds of training up to there, without compilation, data sets and judging
    "psnr_db",  # mean over the validation signals
    "signals",
    "device",
    "run_id",
)

REGIMES_COLUMNS = (*OUTER_LOOP_COLUMNS[:10], "depth", "width", "shared_parameters", "decode_flops")
REGIMES_COLUMNS += OUTER_LOOP_COLUMNS[11:]
"""One row per run of regimes, judged at its end; `train_s` is empty for a run that was resumed."""

SPEED_COLUMNS = (
    "experiment",
    "preset",
    "task",  # meta_step: gradient of a batch; encode: its codes; decode: its values
    "variant",  # plain, or mscn_flax with the sine named
    "sine",  # fast or plain
    "precision",  # of the products between hidden layers: float32, tf32 or bfloat16
    "width",
    "depth",
    "batch",
    "points",
    "code",  # functa: latent of that size; mscn: budget of that size; delta: every parameter, so many updates kept
    "budget",
    "inner_steps",
    "chunk_size",  # signals that a device works on at a time
    "tile",  # points at a time; none: all
    "devices",
    "device",
    "step_s",  # of a batch: median, after warm-up
    "step_min_s",
    "repeats",
    "compile_s",
    "temp_bytes",  # XLA's temporary memory, all devices together
    "gflop",  # of the fewest matrix products that do it
    "gflop_per_s",
    "matmul_gflop_per_s",  # of [batch points, width] x [width, width], same process
    "memory_gb_per_s",  # that adding two large arrays reads and writes, same process
    "signals_per_s",
    "megapixels_per_s",
    "run_id",
)

GROWTH_COLUMNS = (
    "experiment",
    "preset",
    "factor",  # what grows: points, signals, width, depth, inner_steps, processes or rows
    "value",  # how large it is
    "width",
    "depth",
    "batch",
    "points",
    "inner_steps",
    "budget",
    "processes",  # 0: one, on all cores
    "devices",
    "device",
    "step_s",  # median, after warm-up
    "step_min_s",
    "repeats",
    "compile_s",
    "temp_bytes",  # XLA's temporary memory, all devices of a process together
    "gflop",  # of the fewest matrix products that do it
    "run_id",
)

CODEC_SPEED_COLUMNS = ("experiment", "preset", "task", "model", "dataset", "height", "width", "device", "step_s")
CODEC_SPEED_COLUMNS += ("step_min_s", "repeats", "megapixels_per_s", "peak_mib", "bytes", "psnr_db", "run_id")
"""Of a command (`task`), whose seconds from start to end are `step_s` (the median) and most memory `peak_mib`."""

COST_COLUMNS = (
    "experiment",
    "preset",
    "case",
    "dataset",
    "source",
    "width",
    "depth",
    "batch",
    "points",  # of a signal
    "chunk_size",
    "device",
    "gflop",  # of a step
    "step_s",  # median of steps on batches of the data set, after two
    "step_min_s",
    "step_max_s",
    "repeats",
    "estimated_step_s",
    "temp_bytes",  # of the program that ran, per device
    "estimated_temp_bytes",
    "compile_s",
    "estimate_s",  # seconds that the estimate took
    "run_id",
)

TRIAL_COLUMNS = (
    "experiment",
    "preset",
    "dataset",
    "source",
    "method",
    "recipe",
    "seed",
    "scope",  # gin scope of the bindings
    "budget",
    "study",  # the search that the trial belongs to
    "trial",
    "state",  # complete, or pruned: poor after a part of the steps, or diverged
    "bindings",  # JSON
    "judged_by",  # column of the rows
    "value",  # its mean after `outer_steps`, over so many `signals` of the validation split
    "outer_steps",
    "signals",
    "wall_s",
    "device",
    "commit",
    "run_id",
)
"""One row per trial of a search (`benchmarks/tune.py`), in `results/tuning/<benchmark>_trials.csv`."""

TABLES = {
    "table1_modulations": {"": MODULATION_COLUMNS, "_masks": MASK_COLUMNS},
    "fig2_unstructured": {"": COLUMNS, "_layers": LAYER_COLUMNS},
    "sparsity_forms": {"": COLUMNS, "_summary": FORMS_SUMMARY_COLUMNS},
    "fig7_rate_distortion": {"": RATE_COLUMNS},
    "climate_rate_distortion": {"": RATE_COLUMNS},
    "codec_robustness": {"": ROBUSTNESS_COLUMNS},
    "shipped_models": {"": RATE_COLUMNS},
    "outer_loop": {"": OUTER_LOOP_COLUMNS},
    "regimes": {"": REGIMES_COLUMNS},
    "codec_speed": {"": CODEC_SPEED_COLUMNS},
    "speed": {"": SPEED_COLUMNS},
    "cost_model": {"": COST_COLUMNS},
    "growth": {"": GROWTH_COLUMNS},
}
"""Benchmark -> suffix of each of its CSVs, `results/<preset>/<benchmark><suffix>.csv` -> columns."""

TEXTS = ("experiment", "preset", "dataset", "source", "method", "recipe", "budget_unit", "inner_optimizer")
TEXTS += ("trained_on", "kind", "run_id", "model", "checksum", "device", "case", "factor", "variant", "task", "sine")
TEXTS += ("precision", "code", "tile", "equal", "coding", "version")
"""Columns of texts; all others hold numbers."""
