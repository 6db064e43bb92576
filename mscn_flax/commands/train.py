"""`mscn train`: meta-learns a model, and judges it on signals that were held out."""

import argparse
import dataclasses
import pathlib
import shutil
import time

from mscn_flax import shipped
from mscn_flax.commands.batch import add_force, whole_number


def add(commands) -> None:
    """Adds the command to those that there are."""
    train = commands.add_parser("train", help="meta-learn a model on pictures, maps, solids or scenes")
    train.add_argument("-o", "--output", type=pathlib.Path, help="model file to write (.safetensors)")
    train.add_argument("--pictures", type=pathlib.Path, help="folder of training pictures (default: embedded photos)")
    train.add_argument("--data", help="data set to train on instead, e.g. era5 or kaykit_voxels")
    help_resolution = "of the data set: latitudes, voxels or pixels per side; of pictures: pixels per side of a patch"
    train.add_argument("--resolution", type=whole_number(2, 4096), help=help_resolution)
    help_network = "model file whose network is taken as it is: only another rate is fitted, by other --bits"
    train.add_argument("--network", type=pathlib.Path, help=help_network)
    train.add_argument("--modulations", type=int, help="numbers kept per patch or signal (gin/codec.gin: 64)")
    train.add_argument("--bits", type=int, help="bits of a quantised number, 1 to 12 (gin/codec.gin: 7)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--shipped", choices=shipped.ENTRIES, help="train a model of the package, see gin/shipped")
    train.add_argument("--gin_file", action="append", default=[], help="overlay of gin/codec.gin; repeatable")
    train.add_argument("--gin_param", action="append", default=[], help="e.g. Training.outer_steps=2000; repeatable")
    add_force(train)
    train.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Trains, goes on where it was stopped, and saves the model."""
    from mscn_flax import configuration, model, outputs, training, training_signals
    from mscn_flax.modalities.images import pictures_in

    shelf, entry, files = options.shelf, shipped.ENTRIES.get(options.shipped), options.gin_file
    if entry is not None:
        if options.pictures or options.data or options.resolution or options.network:
            raise ValueError(f"--shipped {options.shipped} says itself what is trained on; leave the other out")
        if entry.network and entry.network not in shelf.names():
            first = f"train that first, by `{shipped.command(entry.network)}`"
            raise ValueError(f"{options.shipped} has the network of {entry.network}, which is not there yet; {first}")
        files = [f"gin/shipped/{options.shipped}.gin", *files]
        options.pictures, options.resolution = shipped.pictures_of(entry), entry.resolution
        options.data = None if options.pictures else entry.trained_on
        options.network = entry.network and shelf.file(entry.network)
        options.output = options.output or shelf.file(options.shipped)
    if options.output is None:
        raise ValueError("name the model file to write by -o")
    if options.pictures and options.data:
        raise ValueError("train on --pictures or on --data, not both")
    configuration.parse(["gin/codec.gin", *files], options.gin_param)
    pictures = pictures_in(options.pictures) if options.pictures else []
    network, read = None, [*map(pathlib.Path, options.gin_file), *pictures]
    if options.network:
        network, read = model.load_model(options.network), [options.network, *read]
    outputs.check([options.output], read, force=options.force)
    if options.data:
        found = training_signals.signals_of(options.data, options.resolution)
    else:
        found = training_signals.patches_of(options.pictures, options.seed, options.resolution)
    print(f"{len(found.signals):,} signals of {found.name}", flush=True)
    began, checkpoints = time.perf_counter(), options.output.with_name(f".{options.output.name}.checkpoints")
    chosen = {name: value for name in ("modulations", "bits") if (value := getattr(options, name)) is not None}
    with configuration.scope("codec", found.modality.name):
        made = training.train_codec(found, seed=options.seed, checkpoints=checkpoints, network=network, **chosen)
    made.save(options.output)
    print(f"{options.output}: model {made.id[:8]}, {time.perf_counter() - began:.0f} s", flush=True)
    made = dataclasses.replace(made, held_out=training.judged(made, found.held_out))
    made.save(options.output)
    print(f"held out: {made.held_out}")
    if entry is not None and options.output == shelf.file(options.shipped):
        shelf.write_card(shipped.card(options.shipped, made, {}))
    shutil.rmtree(checkpoints, ignore_errors=True)
