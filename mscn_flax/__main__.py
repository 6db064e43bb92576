"""`python -m mscn_flax train | encode | decode | info`: a codec for one's own pictures."""

import argparse
import pathlib
import time

SUFFIX = ".mscn"


def main(arguments: list[str] | None = None) -> None:
    """Parses and runs a command; an error is one line and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m mscn_flax", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="train | encode | decode | info")

    train = commands.add_parser("train", help="meta-learn a model on pictures")
    train.add_argument("-o", "--output", type=pathlib.Path, required=True, help="model file to write (.safetensors)")
    train.add_argument("--pictures", type=pathlib.Path, help="folder of training pictures (default: embedded photos)")
    train.add_argument("--modulations", type=int, default=64, help="numbers kept a 32x32 patch (default 64)")
    train.add_argument("--bits", type=int, default=5, help="bits of a quantised number, 1 to 12 (default 5)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--gin_file", action="append", default=[], help="overlay of gin/codec.gin; repeatable")
    train.add_argument("--gin_param", action="append", default=[], help="e.g. codec.outer_steps=2000; repeatable")
    train.set_defaults(run=_train)

    encode = commands.add_parser("encode", help="pictures to streams")
    encode.add_argument("inputs", nargs="+", type=pathlib.Path, help="pictures, or folders of them")
    encode.add_argument("-o", "--output", type=pathlib.Path, help="stream, or folder for several (default: beside)")
    encode.add_argument("--model", type=pathlib.Path, required=True)
    encode.set_defaults(run=_encode)

    decode = commands.add_parser("decode", help="streams to pictures")
    decode.add_argument("inputs", nargs="+", type=pathlib.Path, help="streams, or folders of them")
    decode.add_argument("-o", "--output", type=pathlib.Path, help="picture, or folder for several (default: beside)")
    decode.add_argument("--model", type=pathlib.Path, required=True)
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
    from mscn_flax import configuration, training

    configuration.parse(["gin/codec.gin", *options.gin_file], options.gin_param)
    patches, name = training.patches_of(options.pictures, options.seed)
    print(f"{len(patches):,} patches of {name}", flush=True)
    began = time.perf_counter()
    with training.scope():
        model = training.train(
            patches, modulations=options.modulations, bits=options.bits, seed=options.seed, trained_on=name
        )
    model.save(options.output)
    print(f"{options.output}: model {model.id[:8]}, {time.perf_counter() - began:.0f} s")


def _encode(options: argparse.Namespace) -> None:
    import jax.numpy as jnp

    from mscn_flax import codec, files, metrics, model, signals

    shared = model.load(options.model)
    for source, target in _pairs(options, files.READABLE, SUFFIX):
        image = files.read_picture(source)
        began = time.perf_counter()
        data = codec.encode(shared, image)
        seconds = time.perf_counter() - began
        # Measured on what a decoder makes of the bytes.
        decoded, targets = (jnp.asarray(signals.image_to_targets(a)) for a in (codec.decode(shared, data), image))
        with files.replaced(target, "wb") as out:
            out.write(data)
        height, width, _ = image.shape
        rate = 8 * len(data) / (height * width)
        print(
            f"{source} -> {target}: {width}x{height}, {len(data):,} bytes, {rate:.3f} bpp, "
            f"PSNR {float(metrics.psnr(metrics.mse(decoded, targets))):.2f} dB, {seconds:.2f} s",
            flush=True,
        )


def _decode(options: argparse.Namespace) -> None:
    from mscn_flax import codec, files, model

    shared = model.load(options.model)
    for source, target in _pairs(options, (SUFFIX,), ".png"):
        files.check_writable(target)
        if not source.is_file():
            raise ValueError(f"there is no file {source}")
        began = time.perf_counter()
        try:
            image = codec.decode(shared, source.read_bytes())
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        files.write_picture(target, image)
        print(
            f"{source} -> {target}: {image.shape[1]}x{image.shape[0]}, {time.perf_counter() - began:.2f} s", flush=True
        )


def _pairs(options: argparse.Namespace, suffixes: tuple[str, ...], new: str) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Every input with its output; a folder stands for the files in it that end in one of `suffixes`."""
    sources = []
    for given in options.inputs:
        if given.is_dir():
            inside = sorted(path for path in given.iterdir() if path.suffix.lower() in suffixes)
            if not inside:
                raise ValueError(f"{given} has no file that ends in {', '.join(suffixes)}")
            sources += inside
        else:
            sources.append(given)
    output = options.output
    if output is None:
        pairs = [(source, source.with_suffix(new)) for source in sources]
    elif output.is_dir() or len(sources) > 1 or options.inputs[0].is_dir():
        pairs = [(source, output / f"{source.stem}{new}") for source in sources]
    else:
        pairs = [(sources[0], output)]
    targets = [target for _, target in pairs]
    if twice := {target for target in targets if targets.count(target) > 1}:
        raise ValueError(f"two inputs would both become {min(twice)}; rename one")
    return pairs


def _info(options: argparse.Namespace) -> None:
    from mscn_flax import codec, model

    if not options.input.is_file():
        raise ValueError(f"there is no file {options.input}")
    with options.input.open("rb") as opened:
        is_stream = opened.read(2) == codec.MAGIC
    print(codec.explain(options.input.read_bytes()) if is_stream else model.load(options.input).explain())


if __name__ == "__main__":
    main()
