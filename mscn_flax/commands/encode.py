"""`mscn encode`: files to streams, by a model of the package for their kind or by one's own."""

import argparse
import functools
import math
import pathlib
import sys
import time

from mscn_flax import picture_formats, shipped
from mscn_flax.commands.batch import SUFFIX, Done, add_force, add_json, each, whole_number
from mscn_flax.modalities import IMAGES, MODALITIES, Modality
from mscn_flax.modalities.values import psnr_8_bit

MAX_EFFORT = 1000
"""Steps of refinement of a part."""


def add(commands) -> None:
    """Adds the command to those that there are."""
    encode = commands.add_parser("encode", help="files to streams")
    encode.add_argument("inputs", nargs="+", type=pathlib.Path, help="files that the model takes, or folders of them")
    encode.add_argument("-o", "--output", help="stream, or folder of NAME.mscn (default: beside)")
    encode.add_argument("--model", help="file, or name of a model of the package (default: one for the kind of file)")
    low, high = min(shipped.QUALITIES), max(shipped.QUALITIES)
    help_quality = f"of pictures, {low} to {high} (default {shipped.DEFAULT_QUALITY}): how large and how good"
    encode.add_argument("--quality", type=int, choices=shipped.QUALITIES, help=help_quality)
    encode.add_argument("--bpp", type=_positive, help="bits per pixel, to which the nearest quality is taken")
    help_effort = "steps by which a code is refined: more take longer, lose less and cost bits (default: the model's)"
    encode.add_argument("--effort", type=whole_number(0, MAX_EFFORT), help=help_effort)
    encode.add_argument("--compare", action="store_true", help="say what JPEG and WebP make of a picture at that size")
    add_json(encode)
    add_force(encode)
    encode.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Codes all files, each as well as its stream is decoded."""
    from mscn_flax import codec, model, outputs, stream
    from mscn_flax.atomic import replaced
    from mscn_flax.progress import shown_if_long

    shelf, chosen = options.shelf, [name for name in ("model", "quality", "bpp") if getattr(options, name)]
    if len(chosen) > 1:
        raise ValueError(f"--{chosen[0]} and --{chosen[1]} both choose the model; leave one out")
    if options.model:
        path = shelf.path(options.model)
        only, read = model.load_model(path), [path]
        kinds = [only.coder.modality]
    else:
        only, read, kinds = None, [shelf.folder], list(MODALITIES.values())

    @functools.cache
    def load(modality: Modality):
        name = shelf.choose(modality, quality=options.quality, rate=options.bpp)
        if options.bpp and modality is IMAGES:
            near = f"about {shelf.rate(name):.3g} {modality.rate}"
            print(f"{name}, {near}, is nearest to {options.bpp:g}", file=sys.stderr, flush=True)
        return model.load_model(shelf.path(name))

    def model_of(source: pathlib.Path):
        return only or load(_kind(source))

    def takes(path: pathlib.Path) -> bool:
        return any(modality.takes(path) for modality in kinds)

    noun = f"a {' or a '.join(modality.noun for modality in kinds)}"
    pairs = outputs.pairs(options.inputs, options.output, lambda _: SUFFIX, takes, noun)
    sources, targets = zip(*pairs, strict=True)
    outputs.check(targets, [*read, *sources], force=options.force)
    asked = {_kind(source) for source in sources if takes(source)}
    if only is None and len(asked) == 1:
        load(*asked)  # Where no file can be coded, none is begun.

    def work(source, target):
        shared = model_of(source)
        modality = shared.coder.modality
        signal = modality.read(source, shared.coder.side)
        began = time.perf_counter()
        with shown_if_long(f"coding {source.name}", modality.part) as show:
            data = codec.encode(shared, signal, options.effort, show)
        seconds = time.perf_counter() - began
        # Measured on what a decoder makes of the bytes.
        with shown_if_long(f"judging {source.name}", modality.part) as show:
            errors = modality.errors(signal, codec.decode(shared, data, modality.cameras(signal), show=show))
        with replaced(target, "wb") as out:
            out.write(data)
        coded = stream.parse(data)
        name = None if coded.lossless else shelf.name_of(shared.id)
        described = "lossless" if coded.lossless else modality.described(errors)
        said = [f"{coded.size}, {len(data):,} bytes, {coded.rate}, {described}, {seconds:.2f} s"]
        said[0] += f", {name}" if name else ""
        facts = stream.facts(data) | errors | {"seconds": seconds, "model_name": name}
        if options.compare and modality is IMAGES:
            others = {form: _compared(form, signal, len(data)) for form in picture_formats.FORMATS}
            said += [_said(form, other) for form, other in others.items()]
            facts |= others
        return Done(said, facts)

    each(pairs, work, json=options.json)


def _kind(path: pathlib.Path) -> Modality:
    """The modality of a file or a folder, by its name.

    Raises:
      ValueError: where it is of none.
    """
    for modality in MODALITIES.values():
        if modality.takes(path):
            return modality
    known = ", ".join(ending for modality in MODALITIES.values() for ending in modality.readable)
    raise ValueError(f"{path} ends in none of {known}, and is no scene")


def _compared(file_format: str, picture, limit: int) -> dict | None:
    """What a file format has at no more bytes; None where it has no file as small."""
    found = picture_formats.largest(file_format, picture, limit)
    if found is None:
        return None
    decoded = picture_formats.FORMATS[file_format](found.content)
    return {"quality": found.quality, "bytes": len(found.content), "psnr_db": psnr_8_bit(decoded, picture)}


def _said(file_format: str, facts: dict | None) -> str:
    if facts is None:
        return f"  {file_format}: has no file as small"
    return f"  {file_format}: {facts['bytes']:,} bytes, PSNR {facts['psnr_db']:.2f} dB, quality {facts['quality']}"


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be a positive number, is {text!r}")
    return value
