"""The models that come with the package: which there are to be, and the folder with those that are. Imports no JAX."""

import dataclasses
import functools
import json
import math
import os
import pathlib
from typing import TYPE_CHECKING

from mscn_flax.modalities import IMAGES, MAPS, VOXELS, Modality

if TYPE_CHECKING:
    from mscn_flax.model import Model

FOLDER = pathlib.Path(__file__).parent / "models"

MAX_BYTES = 200_000
"""Of a model's file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A model of the package, configured by `gin/shipped/<name>.gin`.

    Attributes:
      modality: of its signals.
      rate: bits per point that it is meant to take; what it takes stands in its card.
      data: what it is trained on, for people.
      licence: of these data.
      trained_on: key of `data.DATA_SETS`, or of pictures the folder in $MSCN_DATA_DIR.
      resolution: of the data set, or pixels per side of a patch.
      judged_on: key of `data.DATA_SETS`, no signal of which it is trained on, and the resolution.
      not_for: what should not be coded with it.
      quality: its place among the models of its kind, from the lowest rate.
      network: the model whose network it shares; None for one of its own.
    """

    modality: Modality
    rate: float
    data: str
    licence: str
    trained_on: str
    resolution: int
    judged_on: tuple[str, int]
    not_for: str
    quality: int = 1
    network: str | None = None


_photos = functools.partial(
    Entry,
    modality=IMAGES,
    data="61 photographs of CID22 (Cloudinary), 512 x 512 pixels",
    licence="CC BY-SA 4.0",
    trained_on="photos",
    judged_on=("kodak", 32),
    not_for="text, line drawings, screenshots, and whatever must keep its fine detail",
)

ENTRIES = {
    "photos_1": _photos(rate=0.1, quality=1, resolution=32),
    "photos_2": _photos(rate=0.2, quality=2, resolution=32, network="photos_1"),
    "photos_3": _photos(rate=0.4, quality=3, resolution=16),
    "photos_4": _photos(rate=0.8, quality=4, resolution=16, network="photos_3"),
    "maps": Entry(
        modality=MAPS,
        rate=0.08,
        data="48 monthly means of CanESM5 (CMIP6), 46 x 90 points",
        licence="CC BY-SA 4.0",
        trained_on="era5",
        resolution=46,
        judged_on=("era5", 46),
        not_for="fields other than near-surface temperature, and errors below half a kelvin",
    ),
    "solids": Entry(
        modality=VOXELS,
        rate=0.002,
        data="voxels of the KayKit collections, 64^3",
        licence="CC0",
        trained_on="kaykit_voxels",
        resolution=64,
        judged_on=("kaykit_voxels", 64),
        not_for="thin walls, fine surface detail, and shapes that must be exact",
    ),
}
"""Name -> model, of a kind from the lowest rate."""

QUALITIES = tuple(entry.quality for entry in ENTRIES.values() if entry.modality is IMAGES)
DEFAULT_QUALITY = 2


def command(name: str) -> str:
    """What trains a model of the package."""
    return f"python -m mscn_flax train --shipped {name}"


def pictures_of(entry: Entry) -> pathlib.Path | None:
    """The folder of pictures that a model is trained on; None where it is trained on a data set.

    Raises:
      ValueError: where $MSCN_DATA_DIR has no such folder.
    """
    if entry.modality is not IMAGES:
        return None
    folder = pathlib.Path(os.environ.get("MSCN_DATA_DIR", ".")).expanduser() / entry.trained_on
    if not folder.is_dir():
        raise ValueError(f"$MSCN_DATA_DIR/{entry.trained_on} is missing: {entry.data}")
    return folder


def card(name: str, model: "Model", judged: dict) -> dict:
    """What is said of a model.

    Args:
      name: key of `ENTRIES`.
      model: of that name.
      judged: what it was found to do: `judged_on`, `rate` (bits per point), `psnr_db` and perhaps more; empty where it
        has not been judged.
    """
    entry = ENTRIES[name]
    return {
        "name": name,
        "id": model.id,
        "kind": entry.modality.noun,
        "trained_on": model.trained_on,
        "data": entry.data,
        "licence": entry.licence,
        "command": command(name),
        "held_out": model.held_out,
        "unit": entry.modality.rate,
        **judged,
        "not_for": entry.not_for,
    }


@dataclasses.dataclass(frozen=True)
class Shelf:
    """A folder with models of the package: `NAME.safetensors`, and its card, `NAME.json`."""

    folder: pathlib.Path = FOLDER

    def file(self, name: str) -> pathlib.Path:
        """Where a model is or would be."""
        return self.folder / f"{name}.safetensors"

    def card_file(self, name: str) -> pathlib.Path:
        """Where its card is or would be."""
        return self.folder / f"{name}.json"

    def names(self) -> list[str]:
        """The models that are there."""
        return [name for name in ENTRIES if self.file(name).is_file()]

    def path(self, given: str) -> pathlib.Path:
        """The file of a model that is given by its path or by its name.

        Raises:
          ValueError: where there is no such model, or not yet.
        """
        if given not in ENTRIES or os.path.isfile(given):
            return pathlib.Path(given)
        if given not in self.names():
            raise ValueError(
                f"the model {given} is not shipped yet; train it by `{command(given)}`, or name another by --model"
            )
        return self.file(given)

    def card(self, name: str) -> dict:
        """The card of a model that is there.

        Raises:
          ValueError: where it is missing or broken.
        """
        path = self.card_file(name)
        try:
            read = json.loads(path.read_text())
            if {"id", "data", "licence", "unit"} <= set(read):
                return read
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no card of a model: {error}") from error
        raise ValueError(f"{path} is no card of a model: something is missing")

    def rate(self, name: str) -> float:
        """Bits per point of a model as its card has it, or as it is meant to have where it has not been judged."""
        told = self.card(name).get("rate") if name in self.names() else None
        return told or ENTRIES[name].rate

    def choose(self, modality: Modality, *, quality: int | None = None, rate: float | None = None) -> str:
        """Name of a model for a kind of signals; where the kind has one alone, that one.

        Args:
          modality: of the signals.
          quality: one of `QUALITIES`; None for the default.
          rate: bits per point, to which that of the model is nearest, as a ratio; None to go by the quality.

        Raises:
          ValueError: where there is none.
        """
        names = [name for name, entry in ENTRIES.items() if entry.modality is modality]
        if not names:
            raise ValueError(f"no model for a {modality.noun} comes with the package; name one by --model")
        if rate is not None:
            return min(names, key=lambda name: abs(math.log(self.rate(name) / rate)))
        wanted = quality or DEFAULT_QUALITY
        return min(names, key=lambda name: abs(ENTRIES[name].quality - wanted))

    def name_of(self, model_id: str) -> str | None:
        """Name of the model whose id begins so; None where there is none."""
        return next((name for name in self.names() if self.card(name)["id"].startswith(model_id)), None)

    def write_card(self, written: dict) -> None:
        """Puts a card of `card` beside its model."""
        from mscn_flax.atomic import replaced

        with replaced(self.card_file(written["name"])) as out:
            out.write(json.dumps(written, indent=2) + "\n")
