"""Data sets of solids as cubes of voxels: where each comes from, and what to do if it is missing."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds

from mscn_flax.data import store
from mscn_flax.data.local_copy import files_below, files_digest, local_file, require_side
from mscn_flax.data.made_up import random_solid
from mscn_flax.data.reading import SPLITS, MissingDataError, Volumes
from mscn_flax.modalities import VOXELS

KAYKIT = "shapes/kaykit_voxels_64.npz"
"""Below the folder of prepared local copies; `bits` [n, 32768] uint8, np.packbits of 64^3 voxels, and `name` [n]."""

COUNTS = {"train": 400, "validation": 20, "test": 40}
"""Split -> number of made-up solids."""


def shapenet10(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    """Solids of ShapeNet's ten largest classes."""
    folder = data_dir and data_dir / "shapenet10"
    found = {part: files_below(folder and folder / part, VOXELS.readable) for part in SPLITS}
    if missing := [part for part, paths in found.items() if not paths]:
        raise MissingDataError(
            f"$MSCN_DATA_DIR/shapenet10/{missing[0]} has no {' or '.join(VOXELS.readable)}. Register at "
            "https://shapenet.org (terms: research, no redistribution), download ShapeNetCore.v2, and put each model's "
            "models/model_normalized.solid.binvox, of the ten largest classes, into "
            "$MSCN_DATA_DIR/shapenet10/{train,validation,test}/<class>/<model>/; closed meshes and .npy of voxels will "
            "do too (its own .obj are not closed). Without: use `kaykit_voxels`, or the embedded stand-in `solids`."
        )
    # ShapeNet's files all have one name: which is of which split, and in which folder, is told besides.
    paths = [path for part in sorted(found) for path in found[part]]
    digest = files_digest(paths, "\n".join(str(path.relative_to(folder)) for path in paths))
    solids = {part: _read(paths, resolution) for part, paths in found.items()}
    return _volumes("shapenet10", "real", f"{resolution}_{digest}", split, resolution, solids)


def kaykit_voxels(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    """Solids of the KayKit collections."""
    require_side("kaykit_voxels", resolution, 64)
    path = local_file(data_dir, KAYKIT, "`bits` (np.packbits of 64^3 voxels, one row per solid), `name`", "solids")
    solids = {part: _kaykit(part, path) for part in SPLITS}
    return _volumes("kaykit_voxels", "standin", f"64_{files_digest([path])}", split, 64, solids)


def made_up(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    """Made-up solids."""
    del data_dir  # Made up.
    solids = {part: _made_up(part, resolution) for part in SPLITS}
    return _volumes("solids", "standin", f"{resolution}", split, resolution, solids)


def split_of(name: str, names: Sequence[str]) -> str:
    """The split of an object `<kit>/<kind>_<variant>`: all variants of a kind are in one."""
    kinds = sorted({other.split("_")[0] for other in names})
    return {0: "test", 4: "validation"}.get(kinds.index(name.split("_")[0]) % 8, "train")


def _volumes(name: str, source: str, prepared: str, split: str, side: int, solids: dict) -> Volumes:
    features = {"bits": tfds.features.Tensor(shape=(side**3 // 8,), dtype=np.uint8)}
    # In the order of the files, as results per solid are read.
    return Volumes(name, source, store.records(f"voxels_{prepared}", split, features, solids, ordered=True), side)


def _read(paths: Sequence[pathlib.Path], side: int) -> Iterator[tuple[int, dict]]:
    for index, path in enumerate(paths):
        yield index, {"bits": np.packbits(VOXELS.read(path, side) > 0.5)}


def _kaykit(split: str, path: pathlib.Path) -> Iterator[tuple[int, dict]]:
    with np.load(path) as arrays:
        bits, names = arrays["bits"], list(map(str, arrays["name"]))
    for index, name in enumerate(names):
        if split_of(name, names) == split:
            yield index, {"bits": bits[index]}


def _made_up(split: str, side: int) -> Iterator[tuple[int, dict]]:
    for index in range(COUNTS[split]):
        rng = np.random.default_rng([SPLITS.index(split), index])
        yield index, {"bits": np.packbits(random_solid(rng, side) > 0.5)}
