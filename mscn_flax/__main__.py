"""`python -m mscn_flax train | encode | decode | info`: a codec for one's own pictures, maps, solids and scenes."""

import argparse
import pathlib
import shutil
import sys
import time
from collections.abc import Callable

from mscn_flax.text import first_line, printable

SUFFIX, DECODED = ".mscn", ".decoded"

_ERRORS = (ValueError, TypeError, OSError, RuntimeError, FloatingPointError, MemoryError)


def main(arguments: list[str] | None = None) -> None:
    """Parses and runs a command; an error is one line.

    Exits with status 1 where a file could not be coded, once all others are; with status 2 where nothing could be
    begun, and with 130 where it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m mscn_flax", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="train | encode | decode | info")

    train = commands.add_parser("train", help="meta-learn a model on pictures, maps, solids or scenes")
    train.add_argument("-o", "--output", type=pathlib.Path, required=True, help="model file to write (.safetensors)")
    train.add_argument("--pictures", type=pathlib.Path, help="folder of training pictures (default: embedded photos)")
    train.add_argument("--data", help="data set to train on instead, e.g. era5 or kaykit_voxels")
    train.add_argument("--resolution", type=int, help="of the data set: latitudes, voxels or pixels per side")
    train.add_argument("--modulations", type=int, default=64, help="numbers kept a patch or signal (default 64)")
    train.add_argument("--bits", type=int, default=5, help="bits of a quantised number, 1 to 12 (default 5)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--gin_file", action="append", default=[], help="overlay of gin/codec.gin; repeatable")
    train.add_argument("--gin_param", action="append", default=[], help="e.g. Training.outer_steps=2000; repeatable")
    _add_force(train)
    train.set_defaults(run=_train)

    encode = commands.add_parser("encode", help="files to streams")
    encode.add_argument("inputs", nargs="+", type=pathlib.Path, help="files of the model's kind, or folders of them")
    encode.add_argument("-o", "--output", type=pathlib.Path, help="stream, or folder of NAME.mscn (default: beside)")
    encode.add_argument("--model", type=pathlib.Path, required=True)
    _add_force(encode)
    encode.set_defaults(run=_encode)

    decode = commands.add_parser("decode", help="streams to files")
    decode.add_argument("inputs", nargs="+", type=pathlib.Path, help="streams, or folders of them")
    help_output = "file, or folder of NAME.decoded.png or the like (default: beside)"
    decode.add_argument("-o", "--output", type=pathlib.Path, help=help_output)
    decode.add_argument("--model", type=pathlib.Path, required=True)
    decode.add_argument("--cameras", type=pathlib.Path, help="of scenes: folder with pose/ and intrinsics.txt")
    _add_force(decode)
    decode.set_defaults(run=_decode)

    info = commands.add_parser("info", help="explain a stream or a model")
    info.add_argument("input", type=pathlib.Path)
    info.set_defaults(run=_info)

    options = parser.parse_args(arguments)
    try:
        from mscn_flax import devices

        devices.choose()
        options.run(options)
    except _ERRORS as error:
        parser.exit(2, f"error: {_said(error, getattr(options, 'output', None))}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")


def _said(error: Exception, output: pathlib.Path | None) -> str:
    """An error in one line; where the system's does not name the file, it is about the output."""
    if isinstance(error, OSError) and error.strerror and (error.filename or output):
        return printable(f"{error.filename or output}: {error.strerror}")
    return first_line(error)


def _each(pairs: list[tuple[pathlib.Path, pathlib.Path]], work: Callable[[pathlib.Path, pathlib.Path], str]) -> None:
    """Does the work of each pair of input and output, and prints what it says; an error ends that pair alone.

    Raises:
      SystemExit: with status 1 at the end, if there was an error.
    """
    failed = 0
    for source, target in pairs:
        try:
            print(printable(f"{source} -> {target}: {work(source, target)}"), flush=True)
        except _ERRORS as error:
            failed += 1
            said, names = _said(error, target), [printable(str(path)) for path in (source, target)]
            said = said if any(name in said for name in names) else f"{names[0]}: {said}"
            print(f"error: {said}", file=sys.stderr, flush=True)
    if len(pairs) > 1:
        print(f"{len(pairs) - failed} of {len(pairs)} done")
    if failed:
        sys.exit(1)


def _add_force(command: argparse.ArgumentParser) -> None:
    command.add_argument("--force", action="store_true", help="replace outputs that exist; never an input")


def _train(options: argparse.Namespace) -> None:
    from mscn_flax import configuration, outputs, training
    from mscn_flax.modalities.images import pictures_in

    configuration.parse(["gin/codec.gin", *options.gin_file], options.gin_param)
    if options.pictures and options.data:
        raise ValueError("train on --pictures or on --data, not both")
    pictures = pictures_in(options.pictures) if options.pictures else []
    outputs.check([options.output], [*map(pathlib.Path, options.gin_file), *pictures], force=options.force)
    if options.data:
        signals, name, modality = training.signals_of(options.data, options.resolution)
    else:
        signals, name, modality = training.patches_of(options.pictures, options.seed)
    print(f"{len(signals):,} signals of {name}", flush=True)
    began, checkpoints = time.perf_counter(), options.output.with_name(f".{options.output.name}.checkpoints")
    with configuration.scope("codec", modality.name):
        model = training.train_codec(
            signals,
            modality,
            modulations=options.modulations,
            bits=options.bits,
            seed=options.seed,
            trained_on=name,
            checkpoints=checkpoints,
        )
    model.save(options.output)
    shutil.rmtree(checkpoints, ignore_errors=True)
    print(f"{options.output}: model {model.id[:8]}, {time.perf_counter() - began:.0f} s")


def _encode(options: argparse.Namespace) -> None:
    from mscn_flax import codec, model, outputs, stream
    from mscn_flax.atomic import replaced

    shared = model.load_model(options.model)
    modality = shared.coder.modality
    pairs = outputs.pairs(options.inputs, options.output, SUFFIX, modality.takes, f"a {modality.noun}")
    sources, targets = zip(*pairs, strict=True)
    outputs.check(targets, [options.model, *sources], force=options.force)

    def work(source, target):
        signal = modality.read(source, shared.coder.side)
        began = time.perf_counter()
        data = codec.encode(shared, signal)
        seconds = time.perf_counter() - began
        # Measured on what a decoder makes of the bytes.
        error = modality.error(signal, codec.decode(shared, data, modality.cameras(signal)))
        with replaced(target, "wb") as out:
            out.write(data)
        coded = stream.parse(data)
        return f"{coded.size}, {len(data):,} bytes, {coded.rate}, {error}, {seconds:.2f} s"

    _each(pairs, work)


def _decode(options: argparse.Namespace) -> None:
    from mscn_flax import codec, model, outputs
    from mscn_flax.modalities.cameras import read_cameras

    shared = model.load_model(options.model)
    modality = shared.coder.modality
    cameras = None if options.cameras is None else read_cameras(options.cameras, shared.coder.side)
    ending, may = f"{DECODED}{modality.writable[0]}", modality.replaceable
    pairs = outputs.pairs(options.inputs, options.output, ending, lambda path: path.suffix == SUFFIX, "a stream", may)
    sources, targets = zip(*pairs, strict=True)
    for target in targets:
        modality.check_writable(target)
    read = [path for path in [options.model, options.cameras, *sources] if path]
    outputs.check(targets, read, force=options.force, replaceable=may)

    def work(source, target):
        if not source.is_file():
            raise ValueError(f"there is no file {source}")
        began = time.perf_counter()
        modality.write(target, codec.decode(shared, source.read_bytes(), cameras))
        return f"{time.perf_counter() - began:.2f} s"

    _each(pairs, work)


def _info(options: argparse.Namespace) -> None:
    from mscn_flax import model, stream

    if not options.input.is_file():
        raise ValueError(f"there is no file {options.input}")
    with options.input.open("rb") as opened:
        is_stream = opened.read(2) == stream.MAGIC
    print(stream.explain(options.input.read_bytes()) if is_stream else model.load_model(options.input).explain())


if __name__ == "__main__":
    main()
