"""The models that come with the package, on whole files that they were not trained on, beside JPEG, WebP, JPEG 2000."""

import dataclasses
import functools
import pathlib
import time

import gin
import numpy as np

from benchmarks import cli, codecs, grid, rates, rates_codecs, records
from benchmarks.ids import digest_of
from benchmarks.job import Job, judged_on
from benchmarks.run_folder import Result
from mscn_flax import codec, configuration, data, metrics, shipped, training_signals
from mscn_flax.fitting import fit_model
from mscn_flax.modalities import IMAGES
from mscn_flax.modalities.values import array_to_targets
from mscn_flax.model import Model, load_model
from mscn_flax.progress import Progress
from mscn_flax.train import Training

NAME, SCOPE = "shipped_models", "shipped"

NO_CONTEXTS = "no_contexts"
"""The change with which a model's tables are fitted anew: one for each coefficient, whatever is around it."""

FIRST_HALF = "first_half"
"""The change with which the decoder sees the first half of the bytes."""

CHANGES = {"none": {}, "effort_0": {"refined": 0}, "effort_9": {"refined": 9}, "blended": {"overlap": True}}
CHANGES |= {NO_CONTEXTS: {}, FIRST_HALF: {}}
"""What a model does otherwise than as it comes: name -> attributes of its coder. Its tables stay as they are."""

_FITTED = 2000
"""Patches of training pictures to which tables without contexts are fitted, as in figure 7."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShippedJob(Job):
    """One model on all signals.

    Attributes:
      method: name of the model, a key of `shipped.ENTRIES`.
      models: folder of the models.
      dataset: key of `data.DATA_SETS` that it is judged on.
      limit: number of signals; None for all.
      change: key of `CHANGES`.
    """

    method: str
    models: pathlib.Path
    dataset: str
    limit: int | None
    change: str = "none"

    split = "test"
    stop_step = ""
    """Nothing is trained here."""

    @functools.cached_property
    def judged(self) -> data.Signals:
        """The signals that are coded."""
        return data.load(self.dataset, self.split, resolution=shipped.ENTRIES[self.method].judged_on[1])

    @property
    def data(self) -> str:
        """See `Job.data`."""
        return judged_on(self.judged, self.limit)

    @property
    def cell(self) -> str:
        """See `Job.cell`."""
        changed = "" if self.change == "none" else f"-{self.change}"
        return f"{self.dataset}-{self.method}{changed}-s0"

    @property
    def decides(self) -> tuple:
        """See `Job.decides`."""
        return decides(shipped.Shelf(self.models).card(self.method)["id"], self.limit)

    def run(self) -> Result:
        """One row per signal, which is a file of its own."""
        shared = load_model(shipped.Shelf(self.models).file(self.method))
        coder, rows = dataclasses.replace(shared.coder, **CHANGES[self.change]), []
        shared = dataclasses.replace(shared, coder=coder)
        if self.change == NO_CONTEXTS:
            shared = _without_contexts(shared, shipped.ENTRIES[self.method])
        tested = rates.test_signals(self, self.limit)
        codec.decode(shared, codec.encode(shared, tested[0]))  # Compiled before anything is timed.
        with Progress(self.id, len(tested)) as progress:
            for index, signal in enumerate(tested):
                began = time.perf_counter()
                stream = codec.encode(shared, signal)
                encoded = time.perf_counter()
                whole = self.change != FIRST_HALF
                stream = stream if whole else stream[: len(stream) // 2]
                decoded = codec.decode(shared, stream, whole=whole).reshape(signal.shape)
                done = time.perf_counter()
                axes = coder.modality.axes
                values, targets = array_to_targets(decoded, axes), array_to_targets(signal, axes)
                measured = coder.modality.measured(values, targets, coder.side)
                rows.append(
                    rates.row(self, index, signal, values, len(stream), axes)
                    | {name: f"{value:.6g}" for name, value in measured.items() if name in records.RATE_COLUMNS}
                    | {
                        "budget": len(shared.groups),
                        "budget_unit": "modulations",
                        "shared_parameters": metrics.shared_parameters(coder.theta["field"]),
                        "inner_steps": coder.steps + coder.refined,
                        "bits": shared.quantizer.bits,
                        "coding": shared.coding + ("" if whole else ", first half"),
                        "trained_on": shared.trained_on,
                        "encode_s": f"{encoded - began:.3g}",
                        "decode_s": f"{done - encoded:.3g}",
                    }
                )
                progress.show(index + 1, {})
        return Result({"": rows})


def _changes(model: Model, change: str) -> bool:
    """Whether a change is one for this model."""
    if change in (NO_CONTEXTS, FIRST_HALF):
        return model.contexts is not None
    return any(getattr(model.coder, attribute) != value for attribute, value in CHANGES[change].items())


def _without_contexts(model: Model, entry: shipped.Entry) -> Model:
    """The model with tables that are fitted to training pictures of its own, and look at nothing around."""
    found = training_signals.patches_of(shipped.pictures_of(entry), 0, entry.resolution)
    chosen = np.random.default_rng(0).permutation(len(found.signals))[:_FITTED]
    codes = model.coder.adapt(np.stack([found.signals[index] for index in chosen]))
    return fit_model(model.coder, codes, model.quantizer.bits, transform=model.transform, trained_on=model.trained_on)


def decides(model_id: str, limit: int | None) -> tuple:
    """What decides the rows of a model besides the data set."""
    return model_id, limit


def run_id(name: str, dataset: str, model_id: str) -> str:
    """Of the run of a model on all signals."""
    return f"{dataset}-{name}-s0-{digest_of(decides(model_id, None))}"


@gin.configurable("shipped")
def jobs(
    real_codecs: list[str] = gin.REQUIRED,
    standins: dict[str, str] = gin.REQUIRED,
    changes: list[str] = gin.REQUIRED,
    models: list[str] | None = None,
    folder: str | None = None,
) -> list[Job]:
    """A job for every model that is there, then the file formats on the signals of photographs' models.

    Args:
      real_codecs: keys of `codecs.CODECS`.
      standins: data set -> the one that takes its place where it is not here.
      changes: keys of `CHANGES`, for the models of pictures; the others are measured as they come.
      models: keys of `shipped.ENTRIES`; None for all.
      folder: of the models; None for those of the package.
    """
    grid.check_choices("shipped.real_codecs", real_codecs, codecs.CODECS)
    grid.check_choices("shipped.changes", changes, CHANGES)
    grid.check_choices("shipped.models", models or list(shipped.ENTRIES), shipped.ENTRIES)
    shelf = shipped.Shelf(pathlib.Path(folder) if folder else shipped.FOLDER)
    made, found = [], {}
    for name, entry in shipped.ENTRIES.items():
        if name not in (models or shipped.ENTRIES):
            continue
        asked, resolution = entry.judged_on
        if asked not in found:
            found[asked] = grid.find(SCOPE, asked, [standins[asked]] if asked in standins else [], resolution)
        if name not in shelf.names():
            print(f"left out: {name} is not shipped yet")
            continue
        with configuration.scope(SCOPE, asked, name):
            limit = Training().test_signals
        made += [
            ShippedJob(
                benchmark=NAME,
                preset=cli.preset(),
                gin=grid.gin_text((SCOPE, asked, name), change=change),
                method=name,
                models=shelf.folder,
                dataset=found[asked],
                limit=limit,
                change=change,
            )
            for change in (changes if entry.modality is IMAGES else ["none"])
            if change == "none" or _changes(load_model(shelf.file(name)), change)
        ]
    asked, resolution = shipped.ENTRIES["photos_1"].judged_on
    formats = rates_codecs.jobs(NAME, SCOPE, asked, found[asked], resolution, real_codecs) if asked in found else []
    return made + [dataclasses.replace(job, shown=False) for job in formats]  # Figure 7 shows them.


if __name__ == "__main__":
    cli.main(NAME)
