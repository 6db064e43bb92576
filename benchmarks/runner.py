"""One cell of a benchmark's grid: train, resume, evaluate, record."""

import dataclasses
import functools
import hashlib
import pathlib
import time

import gin
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import cli, records
from benchmarks.progress import Progress
from mscn_flax import data, meta, metrics, signals
from mscn_flax.checkpoint import Checkpoints
from mscn_flax.outer import OuterOptimizer

SHOWN = ("mse", "psnr", "open_gates")
"""What the progress bar shows of the logged values."""


@gin.configurable
@dataclasses.dataclass(frozen=True)
class Training:
    """Length and size of a run; the same for every method of a comparison.

    Attributes:
      outer_steps: steps of the outer loop.
      batch_size: B, signals a step.
      stride: one random point is drawn of every `stride` x `stride` cell of the image, afresh every step, for inner and
        outer loss alike; 1 trains on all points. Evaluation is on all points.
      chunk_size: signals that a device works on at a time: memory against parallelism, no effect on the result.
      test_signals: signals of the test split that are evaluated; None for all.
      checkpoint_every: steps between checkpoints.
    """

    outer_steps: int = 500_000
    batch_size: int = 16
    stride: int = 1
    chunk_size: int = 16
    test_signals: int | None = None
    checkpoint_every: int = 1000

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "test_signals":
                continue
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Training.{field.name} must be at least 1 and whole, got {value!r}")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: what is trained on what.

    Attributes:
      experiment: the benchmark's name.
      grid: gin selector of the function whose datasets, methods, budgets and seeds span the grid.
      preset: name of the gin overlay.
      dataset: a key of `data.DATA_SETS`.
      resolution: pixels a side.
      method: as in the `method` column.
      budget: non-zeros asked for.
      seed: of initialisation, batches and gates.
      learner: field, gates and inner loop.
      optimizer: of the outer loop.
      training: length and size.
    """

    experiment: str
    grid: str
    preset: str
    dataset: str
    resolution: int
    method: str
    budget: int
    seed: int
    learner: meta.MetaLearner
    optimizer: OuterOptimizer
    training: Training

    @functools.cached_property
    def images(self) -> dict[str, data.Images]:
        """Split -> images."""
        return {
            split: data.load(self.dataset, split, resolution=self.resolution, data_dir=cli.data_dir())
            for split in ("train", "test")
        }

    @functools.cached_property
    def coords(self) -> np.ndarray:
        """All coordinates of an image."""
        return signals.grid_coordinates((self.resolution, self.resolution))

    @property
    def run_id(self) -> str:
        """Cell of the grid, then a digest of everything that decides the numbers."""
        source = self.images["train"].source
        decides = (self.resolution, self.learner, self.optimizer, self.training)
        digest = hashlib.sha256(repr(decides).encode()).hexdigest()[:8]
        return f"{self.dataset}-{source}-{self.method}-{self.budget}-s{self.seed}-{digest}"

    @property
    def gin_text(self) -> str:
        """The operative configuration, with the grid narrowed to this cell: a gin file that repeats this run alone."""
        only = {"datasets": self.dataset, "methods": self.method, "budgets": self.budget, "seeds": self.seed}
        lines = [f"{self.grid}.{name} = {[value]!r}" for name, value in only.items()]
        return "\n".join([gin.operative_config_str(), f"# Run {self.run_id} alone:", *lines, ""])

    @property
    def folder(self) -> pathlib.Path:
        """Of checkpoints and logs."""
        return cli.runs_dir() / self.preset / self.experiment / self.run_id

    @property
    def csv(self) -> pathlib.Path:
        """Of the rows."""
        return cli.results_dir() / self.preset / f"{self.experiment}.csv"


def check_choices(name: str, chosen: list[str], valid) -> None:
    """Raises a ValueError that names the valid choices where `chosen` is empty or has another."""
    if not chosen:
        raise ValueError(f"{name} is empty; valid: {', '.join(valid)}")
    for choice in chosen:
        if choice not in valid:
            raise ValueError(f"{name} has {choice!r}; valid: {', '.join(valid)}")


def available(datasets: list[str], standin: str | None) -> list[str]:
    """The data sets, each replaced by the stand-in where it is not here and there is one.

    Raises:
      MissingDataError: where there is none; not for a dry run, which needs no data.
    """
    found = []
    for name in datasets:
        try:
            data.load(name, "train", resolution=data.DATA_SETS[name].resolution, data_dir=cli.data_dir())
        except data.MissingDataError as error:
            if standin is not None:
                print(f"{error} Going on with the stand-in {standin}.")
                name = standin
            elif not cli.dry_run():
                raise
        if name not in found:
            found.append(name)
    return found


def devices_for(batch_size: int) -> Mesh:
    """A mesh over as many devices as divide the batch."""
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    return Mesh(np.array(devices[:count]), (meta.SIGNALS,))


def run(cell: Cell) -> None:
    """Trains and evaluates a cell and records its rows, unless this checkout has done so already."""
    done = cell.folder / "done"
    if done.exists() and (records.read(cell.csv)["run_id"] == cell.run_id).any():
        print(f"{cell.run_id}: done before")
        return
    began, commit = time.perf_counter(), records.commit()
    state, start, compile_s = train(cell)
    rows, masks = evaluate(cell, state)
    records.append(cell.csv, rows)
    if masks:
        records.append(cell.csv.with_name(f"{cell.experiment}_masks.csv"), masks, records.MASK_COLUMNS)
    record = records.provenance(
        cell.run_id,
        seed=cell.seed,
        device=device_name(),
        gin_text=cell.gin_text,
        wall_s=time.perf_counter() - began,
        compile_s=compile_s,
        commit=commit,
    ) | {"resumed_at_step": start}
    records.append_provenance(cell.csv.with_suffix(".provenance.jsonl"), record)
    done.touch()
    psnr = np.mean([float(row["psnr_db"]) for row in rows])
    print(f"{cell.run_id}: {psnr:.2f} dB over {len(rows)} test signals, {record['wall_s']:.0f} s")


def device_name() -> str:
    """Number and kind of the devices in use."""
    device = jax.devices()[0]
    kind = device.device_kind
    if device.platform == "cpu":
        cpuinfo = pathlib.Path("/proc/cpuinfo")  # Linux alone has it.
        lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
        kind = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), kind)
    return f"{jax.device_count()} x {device.platform} ({kind})"


def train(cell: Cell) -> tuple[meta.TrainState, int, float]:
    """The cell's trained state, the step at which this process took up its training, the seconds of compilation.

    Raises:
      FloatingPointError: where loss or gradient are not finite; the last good checkpoint stays.
    """
    training = cell.training
    mesh = devices_for(training.batch_size)
    optimizer = cell.optimizer.build(training.outer_steps)
    cell.folder.mkdir(parents=True, exist_ok=True)
    gin_file = cell.folder / "operative.gin"
    with records.replaced(gin_file) as out:
        out.write(cell.gin_text)

    init = functools.partial(meta.init_state, cell.learner, optimizer, cell.seed)
    # Jitted, so that no two leaves share a buffer: the step takes them over.
    state = jax.jit(init, out_shardings=NamedSharding(mesh, PartitionSpec()))(cell.coords)
    step_fn = jax.jit(
        functools.partial(
            meta.train_step,
            learner=cell.learner,
            optimizer=optimizer,
            seed=cell.seed,
            outer_steps=training.outer_steps,
            mesh=mesh,
            chunk_size=chunk(training.chunk_size, training.batch_size // mesh.size),
        ),
        donate_argnums=0,
    )
    batches = data.batches(cell.images["train"], training.batch_size, cell.seed)
    with Checkpoints(cell.folder / "checkpoints") as checkpoints:
        start = checkpoints.latest_step() or 0
        if start:
            state = checkpoints.restore(start, state)
        began = time.perf_counter()
        step_fn = step_fn.lower(state, *_batch(cell, batches, 0)).compile()
        compile_s = time.perf_counter() - began
        unchecked = []
        with Progress(cell.run_id, training.outer_steps, start) as progress:
            for step in range(start, training.outer_steps):
                state, logged = step_fn(state, *_batch(cell, batches, step))
                unchecked.append((step, logged))
                save = (step + 1) % training.checkpoint_every == 0 or step + 1 == training.outer_steps
                # Reading a value waits for its step, so values are read a few steps at a time.
                if save or len(unchecked) == 20:
                    values = _check(unchecked, gin_file, checkpoints.latest_step())
                    progress.show(step + 1, {name: values[name] for name in SHOWN if name in values})
                    unchecked = []
                if save:
                    checkpoints.save(step + 1, state)
    return state, start, compile_s


def _batch(cell: Cell, batches, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and targets of an outer step: a function of seed and step alone."""
    targets = signals.image_to_targets(batches[step])
    if cell.training.stride == 1:
        return cell.coords, targets
    rng = np.random.default_rng([cell.seed, step])
    points = signals.stratified_points((cell.resolution, cell.resolution), cell.training.stride, rng)
    return cell.coords[points], targets[:, points]


def chunk(limit: int, count: int) -> int:
    """The largest chunk within the limit that divides `count`."""
    return max(n for n in range(1, min(limit, count) + 1) if count % n == 0)


def _check(unchecked: list, gin_file: pathlib.Path, good: int | None) -> dict[str, float]:
    """The last step's values, once all are seen to be finite."""
    for step, logged in unchecked:
        values = {name: float(value) for name, value in logged.items()}
        if not (np.isfinite(values["mse"]) and np.isfinite(values["gradient_norm"])):
            last = "none" if good is None else f"step {good}"
            raise FloatingPointError(
                f"loss {values['mse']} with gradient norm {values['gradient_norm']} at outer step {step}; "
                f"reproduce with --gin_file={gin_file}; last good checkpoint: {last}"
            )
    return values


def evaluate(cell: Cell, state: meta.TrainState) -> tuple[list[dict], list[dict]]:
    """One row a test signal, and one a modulation kept by the shared mask (none without a shared mask)."""
    images = cell.images["test"]
    count = min(len(images), cell.training.test_signals or len(images))
    targets = signals.image_to_targets(np.stack([images[i] for i in range(count)]))
    codes, values, seconds = _encode_and_decode(cell, state, targets)

    errors = np.asarray(metrics.mse(values, targets))
    errors8 = np.asarray(metrics.mse(metrics.to_8_bit(values), targets))
    kept = np.count_nonzero(codes.reshape(count, -1), axis=1)
    if (kept != cell.budget).any():
        print(f"{cell.run_id}: {np.sum(kept != cell.budget)} of {count} codes do not have {cell.budget} non-zeros")
    common = {
        "experiment": cell.experiment,
        "preset": cell.preset,
        "dataset": cell.dataset,
        "source": images.source,
        "method": cell.method,
        "seed": cell.seed,
        "run_id": cell.run_id,
    }
    per_run = common | {
        "budget_unit": "modulations",
        "inner_steps": cell.learner.inner_steps,
        "inner_optimizer": "meta_sgd",
        "outer_steps": cell.training.outer_steps,
        "encode_s": f"{seconds['encode'] / count:.3g}",
        "decode_s": f"{seconds['decode'] / count:.3g}",
    }
    rows = [
        dict.fromkeys(records.COLUMNS, "")
        | per_run
        | {
            "signal_id": i,
            "budget": int(kept[i]),
            "surviving_fraction": f"{kept[i] / codes[i].size:.6g}",
            "mse": f"{errors[i]:.7g}",
            "psnr_db": f"{metrics.psnr(errors[i]):.4f}",
            "psnr8_db": f"{metrics.psnr(errors8[i]):.4f}",
        }
        for i in range(count)
    ]
    masks = []
    if state.gates is not None and not cell.learner.adapt_gates:
        kept_at = np.argwhere(np.asarray(state.gates.mask))
        masks = [common | {"budget": cell.budget, "layer": int(a), "unit": int(b)} for a, b in kept_at]
    return rows, masks


def _encode_and_decode(
    cell: Cell, state: meta.TrainState, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Codes [n, *code], values [n, N, c], and the seconds of each stage, compilation apart."""
    mesh = Mesh(np.array(jax.devices()), (meta.SIGNALS,))
    block = mesh.size * cell.training.chunk_size
    padded = np.concatenate([targets, np.repeat(targets[-1:], -len(targets) % block, axis=0)])
    state = jax.device_put(jax.device_get(state), NamedSharding(mesh, PartitionSpec()))
    settings = {"mesh": mesh, "chunk_size": cell.training.chunk_size}
    seconds = {}

    def timed(stage, fn, *arguments):
        compiled = jax.jit(functools.partial(fn, cell.learner, **settings)).lower(*arguments).compile()
        began = time.perf_counter()
        result = jax.block_until_ready(compiled(*arguments))
        seconds[stage] = (time.perf_counter() - began) * len(targets) / len(padded)
        return result

    codes = timed("encode", meta.encode, state.theta, state.gates, jnp.asarray(cell.coords), padded)
    values = timed("decode", meta.decode, state.theta, jnp.asarray(cell.coords), codes)
    return np.asarray(codes)[: len(targets)], np.asarray(values)[: len(targets)], seconds
