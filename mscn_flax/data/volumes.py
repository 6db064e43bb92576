"""Where each data set of solids comes from, and what to do where it is missing."""

import pathlib

from mscn_flax.data import store
from mscn_flax.data.local_copy import files_below, local_file, require_side
from mscn_flax.data.reading import SPLITS, MissingDataError, Volumes
from mscn_flax.data.voxels import voxels_dataset_builder as voxels_builder
from mscn_flax.modalities import VOXELS


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
    return _volumes("shapenet10", "real", split, voxels_builder.VoxelsConfig(side=resolution, files=found))


def kaykit_voxels(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    """Solids of the KayKit collections."""
    require_side("kaykit_voxels", resolution, 64)
    path = local_file(
        data_dir, voxels_builder.KAYKIT, "`bits` (np.packbits of 64^3 voxels, a row a solid), `name`", "solids"
    )
    return _volumes("kaykit_voxels", "standin", split, voxels_builder.VoxelsConfig(side=64, kaykit=path))


def made_up(split: str, resolution: int, data_dir: pathlib.Path | None) -> Volumes:
    """Made-up solids."""
    del data_dir  # Made up.
    return _volumes("solids", "standin", split, voxels_builder.VoxelsConfig(side=resolution))


def _volumes(name: str, source: str, split: str, config: voxels_builder.VoxelsConfig) -> Volumes:
    return Volumes(name, source, store.records(voxels_builder.Builder, config, split), config.side)
