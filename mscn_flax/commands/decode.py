"""`mscn decode`: streams to files, by the model that each needs."""

import argparse
import contextlib
import functools
import pathlib
import time

from mscn_flax.commands.batch import SUFFIX, Done, add_force, add_json, each
from mscn_flax.inputs import check_file
from mscn_flax.modalities import Modality

DECODED = ".decoded"


def add(commands) -> None:
    """Adds the command to those that there are."""
    decode = commands.add_parser("decode", help="streams to files")
    decode.add_argument("inputs", nargs="+", type=pathlib.Path, help="streams, or folders of them")
    help_output = f"file, or folder of NAME{DECODED}.png or the like (default: beside)"
    decode.add_argument("-o", "--output", help=help_output)
    decode.add_argument("--model", help="file, or name of a model of the package (default: the one that is needed)")
    help_cameras = "of scenes, with --model: folder with pose/ and intrinsics.txt"
    decode.add_argument("--cameras", type=pathlib.Path, help=help_cameras)
    help_partial = "the first bytes of a stream are enough, for a lower quality; nothing is checked by a sum"
    decode.add_argument("--partial", action="store_true", help=help_partial)
    add_json(decode)
    add_force(decode)
    decode.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Decodes all streams."""
    from mscn_flax import codec, model, outputs, stream
    from mscn_flax.modalities.cameras import read_cameras
    from mscn_flax.progress import shown_if_long

    shelf = options.shelf
    path = shelf.path(options.model) if options.model else None
    given = model.load_model(path) if path else None
    if options.cameras and not given:
        raise ValueError("--cameras needs --model: no model of scenes comes with the package")
    cameras = None if options.cameras is None else read_cameras(options.cameras, given.coder.side)

    @functools.cache
    def load(name: str):
        return model.load_model(shelf.path(name))

    def model_of(coded: stream.Stream):
        """The model given, or the one of the package that a stream needs; None where it needs none."""
        if given or coded.lossless:
            return given
        needed = coded.model_id.hex()
        if name := shelf.name_of(needed):
            return load(name)
        there = f"those of the package are {', '.join(shelf.names())}" if shelf.names() else "none is shipped yet"
        raise ValueError(f"the stream needs model {needed}, name it by --model: {there}")

    @functools.cache
    def modality_of(source: pathlib.Path) -> Modality | None:
        """By the stream's header; where it has none, the model's."""
        found = None
        if source.is_file():
            with contextlib.suppress(OSError), source.open("rb") as opened:
                found = stream.kind(opened.read(4))
        return found or (given and given.coder.modality)

    def ending(source: pathlib.Path) -> str:
        modality = modality_of(source)
        return f"{DECODED}{modality.writable[0] if modality else ''}"

    def may_replace(modality: Modality | None):
        return modality.replaceable if modality else outputs.no_folder

    takes, may = (lambda path: path.suffix.lower() == SUFFIX), may_replace(modality_of(options.inputs[0]))
    pairs = outputs.pairs(options.inputs, options.output, ending, takes, "a stream", may)
    read = [path or shelf.folder, *filter(None, [options.cameras]), *(source for source, _ in pairs)]
    for modality in {modality_of(source): None for source, _ in pairs}:
        targets = [target for source, target in pairs if modality_of(source) is modality]
        for target in targets if modality else []:
            modality.check_writable(target)
        outputs.check(targets, read, force=options.force, replaceable=may_replace(modality))

    def work(source, target):
        check_file(source)
        began, data = time.perf_counter(), source.read_bytes()
        coded = stream.parse(data, not options.partial)
        shared = model_of(coded)
        with shown_if_long(f"decoding {source.name}", coded.modality.part) as show:
            decoded = codec.decode(shared, data, cameras, not options.partial, show)
        coded.modality.write(target, decoded)
        name = None if coded.lossless else shelf.name_of(shared.id)
        seconds = time.perf_counter() - began
        facts = stream.facts(data, not options.partial) | {"seconds": seconds, "model_name": name}
        return Done([f"{seconds:.2f} s" + (f", {name}" if name else "")], facts)

    each(pairs, work, json=options.json)
