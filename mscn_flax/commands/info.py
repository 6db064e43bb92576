"""`mscn info` explains a stream or a model; `mscn models` lists those of the package."""

import argparse

from mscn_flax import shipped
from mscn_flax.commands.batch import add_json, as_json
from mscn_flax.inputs import check_file
from mscn_flax.text import printable


def add(commands) -> None:
    """Adds both commands to those that there are."""
    info = commands.add_parser("info", help="explain a stream or a model")
    info.add_argument("input", help="file, or name of a model of the package")
    add_json(info)
    info.set_defaults(run=run)
    models = commands.add_parser("models", help="list the models of the package")
    add_json(models)
    models.set_defaults(run=run_models)


def run(options: argparse.Namespace) -> None:
    """Says what a file is."""
    from mscn_flax import model, stream

    path = options.shelf.path(options.input)
    check_file(path)
    with path.open("rb") as opened:
        is_stream = opened.read(2) == stream.MAGIC
    if is_stream:
        data = path.read_bytes()
        facts, text = stream.facts(data), stream.explain(data)
        facts["model_name"] = facts["model"] and options.shelf.name_of(facts["model"])
        text += f", which is {facts['model_name']}" if facts["model_name"] else ""
    else:
        shared = model.load_model(path)
        facts, text = _facts(shared), shared.explain()
        facts["model_name"] = options.shelf.name_of(shared.id)
        if facts["model_name"]:
            facts["card"] = options.shelf.card(facts["model_name"])
            text = "\n".join([*_said(facts["card"]), "", text])
    print(as_json({"input": str(path)} | facts) if options.json else text)


def run_models(options: argparse.Namespace) -> None:
    """Lists the models that there are, and those that there are to be."""
    shelf = options.shelf
    for name, entry in shipped.ENTRIES.items():
        there = name in shelf.names()
        size = shelf.file(name).stat().st_size if there else None
        card = shelf.card(name) if there else {"kind": entry.modality.noun, "data": entry.data}
        if options.json:
            print(as_json({"name": name, "shipped": there, "size": size} | card))
        elif there:
            judged = f"{card['psnr_db']:.2f} dB on {card['judged_on']}" if "psnr_db" in card else "not judged yet"
            rate = f"{shelf.rate(name):.3g} {card['unit']}, {judged}"
            told = f"{name:9} {card['kind']}: {rate}; {size:,} bytes; {card['data']}, {card['licence']}"
            print(printable(told))
        else:
            print(f"{name:9} {entry.modality.noun}: about {entry.rate:g} {entry.modality.rate}; not shipped yet")


def _facts(shared) -> dict:
    """What a model is, by name."""
    coder = shared.coder
    return {
        "id": shared.id,
        "kind": coder.modality.noun,
        "side": coder.side,
        "entries": len(shared.groups),
        "bits": shared.quantizer.bits,
        "decode_flops": coder.flops,
        "trained_on": shared.trained_on,
        "held_out": shared.held_out,
        "gin": shared.gin,
    }


def _said(card: dict) -> list[str]:
    """A card, for people."""
    return [printable(f"{name.replace('_', ' '):10} {value}") for name, value in card.items()]
