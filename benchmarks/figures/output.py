"""Writes what the figures return: charts as PDF and PNG, films as GIF, tables as text."""

import io
import pathlib

import matplotlib.pyplot as plt
import PIL.Image

from benchmarks.figures.results import Drawn
from mscn_flax.atomic import replaced


def write(drawn: Drawn, folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes every content atomically and without a date, closes the charts, and returns the files."""
    written = []
    for name, content in drawn.items():
        for suffix, data in _files(content).items():
            path = folder / f"{name}{suffix}"
            with replaced(path, "wb") as out:
                out.write(data)
            written.append(path)
    return written


def _files(content: plt.Figure | list[PIL.Image.Image] | str) -> dict[str, bytes]:
    """Suffix -> bytes of a file."""
    if isinstance(content, str):
        return {"": content.encode()}
    if isinstance(content, list):
        return {"": _film(content)}
    files = {}
    for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        out = io.BytesIO()
        content.savefig(out, format=suffix, metadata=metadata)
        files[f".{suffix}"] = out.getvalue()
    plt.close(content)
    return files


def _film(frames: list[PIL.Image.Image]) -> bytes:
    """An endless GIF of 12 pictures per second."""
    out = io.BytesIO()
    frames = [frame.quantize(128) for frame in frames]
    frames[0].save(out, format="GIF", save_all=True, append_images=frames[1:], duration=83, loop=0)
    return out.getvalue()
