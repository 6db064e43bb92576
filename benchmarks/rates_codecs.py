"""Rates of the file formats of `codecs.py`, on the test signals of a network's cell."""

import concurrent.futures
import functools
import hashlib
import os
import time

import numpy as np

from benchmarks import codecs, rates, records, runner
from benchmarks.cell import Cell
from mscn_flax.modalities.values import array_to_targets
from mscn_flax.progress import Progress


def run(cell: Cell, names: list[str]) -> None:
    """Codes the test signals of `cell` by some codecs and records the rows; done once, whatever the cells."""
    tested = rates.test_signals(cell, cell.training.test_signals)
    for index, signal in enumerate(tested):
        rates.keep_part(cell, index, signal, "original")
    for name in names:
        real = codecs.CODECS[name]
        if missing := real.missing():
            print(f"left out: {missing}")
            continue
        revision = f" (options {real.revision})" if real.revision > 1 else ""
        tests = f"the first {len(tested)} test {cell.modality.name}s"
        text = f"{name}{revision}: {real.settings}, {tests}, {codecs.versions()}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        run_id = f"{cell.dataset}-{cell.signals['test'].source}-{name}-s0-{digest}"
        if records.has(cell.csv, run_id):
            print(f"{run_id}: done before")
            continue
        began, commit, rows = time.perf_counter(), records.commit(), []
        # Pillow and imagecodecs let other threads run while they code.
        with Progress(run_id, len(tested)) as progress, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            coded = pool.map(functools.partial(_rows, cell, real, run_id), range(len(tested)), tested)
            for done, of_signal in enumerate(coded, start=1):
                rows += of_signal
                progress.show(done, {})
        records.add(
            cell.csv,
            rows,
            records.RATE_COLUMNS,
            seed=0,
            device=runner.device_name(),
            gin_text=text,
            wall_s=time.perf_counter() - began,
            compile_s=0.0,
            commit=commit,
        )
        print(f"{run_id}: {len(rows)} rows, {time.perf_counter() - began:.0f} s", flush=True)


def _rows(cell: Cell, real: codecs.Codec, run_id: str, index: int, signal: np.ndarray) -> list[dict]:
    """One row for each setting of a codec; a map is coded with 16 bits a value."""
    image, rows = _as_image(signal), []
    for setting in real.settings:
        began = time.perf_counter()
        file = real.encode(image, setting)
        encoded = time.perf_counter()
        decoded = real.decode(file)
        done = time.perf_counter()
        values, payload = _as_values(decoded), real.payload(file)
        rows.append(
            rates.row(cell, index, signal, values, len(file))
            | {
                "method": real.name,
                "run_id": run_id,
                "outer_steps": "",
                "seed": 0,
                "budget": setting,
                "budget_unit": real.unit,
                "bpp_payload": "" if payload is None else f"{8 * payload / (image.shape[0] * image.shape[1]):.6g}",
                "encode_s": f"{encoded - began:.3g}",
                "decode_s": f"{done - encoded:.3g}",
            }
        )
        if real.name in ("jpeg", "jpeg2000") and float(rows[-1]["bpp"]) <= rates.SHOWN_BPP:
            rates.keep_part(cell, index, decoded, f"{real.name}_{setting:g}")
    return rows


_LEVELS = 65535
"""Of a map in a file: 0 and 1 are the extremes of the training set, what lies outside is clipped."""


def _as_image(signal: np.ndarray) -> np.ndarray:
    """An image as it is, a map as 16-bit grey."""
    if signal.dtype == np.uint8:
        return signal
    return np.rint(np.clip(signal, 0, 1) * _LEVELS).astype(np.uint16)


def _as_values(image: np.ndarray) -> np.ndarray:
    """Values [N, C] of a decoded file."""
    if image.dtype == np.uint16:
        image = image.astype(np.float32) / np.float32(_LEVELS)
    return array_to_targets(image, 2)
