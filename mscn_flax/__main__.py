"""`python -m mscn_flax train | encode | decode | info`: a codec for one's own pictures, maps, solids and scenes."""

import argparse
import pathlib
import time
from collections.abc import Callable

SUFFIX = ".mscn"


def main(arguments: list[str] | None = None) -> None:
    """Parses and runs a command; an error is one line and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m mscn_flax", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="train | encode | decode | info")

    train = commands.add_parser("train", help="meta-learn a model on pictures, maps, solids or scenes")
    train.add_argument("-o", "--output", type=pathlib.Path, required=True, help="model file to write (.safetensors)")
    train.add_argument("--pictures", type=pathlib.Path, help="folder of training pictures (default: embedded photos)")
    train.add_argument("--data", help="data set to train on instead, e.g. era5 or kaykit_voxels")
    train.add_argument("--resolution", type=int, help="of the data set: latitudes, voxels or pixels a side")
    train.add_argument("--modulations", type=int, default=64, help="numbers kept a patch or signal (default 64)")
    train.add_argument("--bits", type=int, default=5, help="bits of a quantised number, 1 to 12 (default 5)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--gin_file", action="append", default=[], help="overlay of gin/codec.gin; repeatable")
    train.add_argument("--gin_param", action="append", default=[], help="e.g. codec.outer_steps=2000; repeatable")
    train.set_defaults(run=_train)

    encode = commands.add_parser("encode", help="files to streams")
    encode.add_argument("inputs", nargs="+", type=pathlib.Path, help="files of the model's kind, or folders of them")
    encode.add_argument("-o", "--output", type=pathlib.Path, help="stream, or folder for several (default: beside)")
    encode.add_argument("--model", type=pathlib.Path, required=True)
    encode.set_defaults(run=_encode)

    decode = commands.add_parser("decode", help="streams to files")
    decode.add_argument("inputs", nargs="+", type=pathlib.Path, help="streams, or folders of them")
    decode.add_argument("-o", "--output", type=pathlib.Path, help="file, or folder for several (default: beside)")
    decode.add_argument("--model", type=pathlib.Path, required=True)
    decode.add_argument("--cameras", type=pathlib.Path, help="of scenes: folder with pose/ and intrinsics.txt")
    decode.set_defaults(run=_decode)

    info = commands.add_parser("info", help="explain a stream or a model")
    info.add_argument("input", type=pathlib.Path)
    info.set_defaults(run=_info)

    options = parser.parse_args(arguments)
    try:
        from mscn_flax import devices

        devices.choose()
        options.run(options)
    except (ValueError, TypeError, OSError, RuntimeError, FloatingPointError) as error:
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        parser.exit(2, f"error: {message}\n")


def _train(options: argparse.Namespace) -> None:
    import gin

    from mscn_flax import configuration, training

    configuration.parse(["gin/codec.gin", *options.gin_file], options.gin_param)
    if options.pictures and options.data:
        raise ValueError("train on --pictures or on --data, not both")
    if options.data:
        signals, name, modality = training.signals_of(options.data, options.resolution)
    else:
        signals, name, modality = training.patches_of(options.pictures, options.seed)
    print(f"{len(modality.values(signals)):,} signals of {name}", flush=True)
    began = time.perf_counter()
    with gin.config_scope(f"codec/{modality.name}"):
        model = training.train(
            signals,
            modality=modality,
            modulations=options.modulations,
            bits=options.bits,
            seed=options.seed,
            trained_on=name,
        )
    model.save(options.output)
    print(f"{options.output}: model {model.id[:8]}, {time.perf_counter() - began:.0f} s")


def _encode(options: argparse.Namespace) -> None:
    from mscn_flax import codec, model, stream
    from mscn_flax.atomic import replaced

    shared = model.load(options.model)
    modality = shared.coder.modality
    for source, target in _pairs(options, modality.takes, f"a {modality.noun}", SUFFIX):
        signal = modality.read(source, shared.coder.side)
        began = time.perf_counter()
        data = codec.encode(shared, signal)
        seconds = time.perf_counter() - began
        # Measured on what a decoder makes of the bytes.
        error = modality.error(signal, codec.decode(shared, data, modality.cameras(signal)))
        with replaced(target, "wb") as out:
            out.write(data)
        coded = stream.parse(data)
        print(
            f"{source} -> {target}: {coded.size}, {len(data):,} bytes, {coded.rate}, {error}, {seconds:.2f} s",
            flush=True,
        )


def _decode(options: argparse.Namespace) -> None:
    from mscn_flax import codec, model
    from mscn_flax.modalities.scenes import read_cameras

    shared = model.load(options.model)
    modality = shared.coder.modality
    cameras = None if options.cameras is None else read_cameras(options.cameras, shared.coder.side)
    for source, target in _pairs(options, lambda path: path.suffix == SUFFIX, "a stream", modality.writable[0]):
        modality.check_writable(target)
        if not source.is_file():
            raise ValueError(f"there is no file {source}")
        began = time.perf_counter()
        try:
            signal = codec.decode(shared, source.read_bytes(), cameras)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        modality.write(target, signal)
        print(f"{source} -> {target}: {time.perf_counter() - began:.2f} s", flush=True)


def _pairs(
    options: argparse.Namespace, takes: Callable[[pathlib.Path], bool], what: str, new: str
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Every input with its output; a folder that is not `what` stands for those in it."""
    sources, several = [], False
    for given in options.inputs:
        if given.is_dir() and not takes(given):
            inside = sorted(path for path in given.iterdir() if takes(path))
            if not inside:
                raise ValueError(f"{given} has nothing that looks like {what}")
            sources += inside
            several = True
        else:
            sources.append(given)
    output = options.output
    if output is None:
        pairs = [(source, source.with_suffix(new)) for source in sources]
    elif output.is_dir() or len(sources) > 1 or several:
        pairs = [(source, output / f"{source.stem}{new}") for source in sources]
    else:
        pairs = [(sources[0], output)]
    targets = [target for _, target in pairs]
    if twice := {target for target in targets if targets.count(target) > 1}:
        raise ValueError(f"two inputs would both become {min(twice)}; rename one")
    return pairs


def _info(options: argparse.Namespace) -> None:
    from mscn_flax import model, stream

    if not options.input.is_file():
        raise ValueError(f"there is no file {options.input}")
    with options.input.open("rb") as opened:
        is_stream = opened.read(2) == stream.MAGIC
    print(stream.explain(options.input.read_bytes()) if is_stream else model.load(options.input).explain())


if __name__ == "__main__":
    main()
