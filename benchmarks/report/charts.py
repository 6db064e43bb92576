"""Interactive charts of the rows, by Plotly: one per benchmark, with controls for what is shown."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import plotly.graph_objects as go

from benchmarks import records
from benchmarks.figures import fig2_unstructured, outer_loop, rate_distortion, style, table1_modulations
from benchmarks.figures.results import Results

MEANS, EACH = "means over seeds", "each seed"

_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot", "": "solid"}

_MARKERS = {
    "o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left", ">": "triangle-right",
    "D": "diamond", "P": "cross", "X": "x", "x": "x", "*": "star", "p": "pentagon", "h": "hexagon",
}  # fmt: skip

_RATES = {"bpp": "whole files", "bpp_payload": "without headers", "bpp_entropy": "entropy estimate"}


class Chart(NamedTuple):
    """A chart.

    Attributes:
      title: of the chart.
      figure: every trace has in `meta` a value for each control.
      controls: name of what can be chosen -> choices, the first of which is shown at first.
    """

    title: str
    figure: go.Figure
    controls: dict[str, list[str]]


def charts(results: Results) -> Iterator[tuple[str, Chart]]:
    """The charts of the benchmarks that there are rows of, by the benchmark's name."""
    for name, make in _CHARTS.items():
        if results.has(name):
            yield name, make(results)


def _chart(title: str, x: str, y: str, traces: Iterable[go.Scatter], log: bool = False) -> Chart:
    traces = list(traces)
    controls = {name: list(dict.fromkeys(trace.meta[name] for trace in traces)) for name in traces[0].meta}
    layout = {"template": "plotly_white", "hovermode": "closest", "margin": {"l": 60, "r": 20, "t": 20, "b": 50}}
    layout |= {"legend": {"orientation": "h", "y": -0.2}, "height": 480, "autosize": True}
    layout |= {"xaxis": {"title": x, "type": "log" if log else "linear"}, "yaxis": {"title": y}}
    return Chart(title, go.Figure(traces, layout), controls)


def _line(method: str, x, y, meta: dict[str, str], deviation=None) -> go.Scatter:
    look, name, recipe = style.look(method), style.label(method), method.partition(style.RECIPE)[2]
    symbol = _MARKERS.get(look["marker"], "circle") + ("-open" if recipe.startswith("published") else "")
    return go.Scatter(
        x=[float(f"{value:.5g}") for value in x],
        y=[float(f"{value:.5g}") for value in y],
        error_y=None if deviation is None else {"array": [float(f"{value:.3g}") for value in deviation.fillna(0)]},
        name=name,
        legendgroup=name,
        mode="lines+markers",
        line={"color": look["color"], "dash": _DASHES[look["linestyle"]], "width": 2 if "mscn" in method else 1.3},
        marker={"symbol": symbol, "size": 11 if "equal" in recipe else 7},
        meta=meta,
    )


def _table1(results: Results) -> Chart:
    rows = results.compared("table1_modulations", records.MODULATION_COLUMNS)
    rows = rows[~rows["method"].str.endswith("equal flops")]

    def traces():
        for shown, part in ((MEANS, rows), *((f"{EACH}: {seed}", part) for seed, part in rows.groupby("seed"))):
            table = table1_modulations.summary(part)
            for (dataset, source), of_dataset in table.groupby(["dataset", "source"]):
                column = table1_modulations.headline(of_dataset)
                unit = "voxel accuracy (%)" if column == "accuracy_pct" else "PSNR (dB)"
                for method in style.ordered(of_dataset["method"]):
                    line = of_dataset[of_dataset["method"] == method].sort_values("budget")
                    meta = {"data": f"{style.named(dataset, source)}, {unit}", "seeds": shown}
                    yield _line(method, line["budget"], line[column], meta, line[f"{column}_ci95"])

    return _chart("Quality and numbers per signal", "numbers per signal", "PSNR (dB) or accuracy (%)", traces())


def _fig2(results: Results) -> Chart:
    rows = results.compared("fig2_unstructured")

    def traces():
        for shown, part in ((MEANS, rows), *((f"{EACH}: {seed}", part) for seed, part in rows.groupby("seed"))):
            table = fig2_unstructured.summary(part)
            for (dataset, source, regime), line in table.groupby(["dataset", "source", "regime"]):
                for method in style.ordered(line["method"]):
                    at = line[line["method"] == method].sort_values("surviving_fraction")
                    meta = {"data": style.named(dataset, source), "evaluation": regime, "seeds": shown}
                    yield _line(method, 100 * at["surviving_fraction"], at["psnr"], meta, at["psnr_ci95"])

    traces = sorted(traces(), key=lambda trace: trace.meta["evaluation"] == "adam")
    return _chart("Sparse updates of the network", "surviving fraction (%)", "PSNR (dB)", traces, log=True)


def _rates(name: str, title: str, psnr: str):
    def make(results: Results) -> Chart:
        points = rate_distortion.summary(results.compared(name, records.RATE_COLUMNS), psnr)

        def traces():
            for (dataset, source), part in points.groupby(["dataset", "source"]):
                for rate, named in _RATES.items():
                    meta = {"data": style.named(dataset, source), "rate": named}
                    for method in style.ordered(part["method"]):
                        line = rate_distortion.curve(part, method, rate)
                        if len(line):
                            yield _line(method, line["rate"], line["psnr"], meta)
                    for method, line in rate_distortion.published(dataset).items():
                        at = {"x": line["rate"].tolist(), "y": line["psnr"].tolist()}
                        look = {"line": {"color": "#aaaaaa", "width": 1}, "visible": "legendonly"}
                        yield go.Scatter(**at, **look, name=f"{method}, published", mode="lines", meta=meta)

        return _chart(title, "rate (bits per point)", "PSNR (dB)", traces(), log=True)

    return make


def _outer_loop(results: Results) -> Chart:
    rows = results.rows("outer_loop", outer_loop.COLUMNS)

    def traces():
        for (method, variant, seed), line in rows.groupby(["method", "variant", "seed"]):
            line = line.sort_values("train_s")
            meta = {"method": style.label(method)}
            trace = _line(method, line["train_s"], line["psnr_db"], meta)
            trace.line.color, trace.name = None, f"{variant.replace('_', ' ')}, seed {seed}"
            yield trace.update(legendgroup=trace.name)

    return _chart("Quality and seconds of training", "seconds of training", "PSNR (dB)", traces())


_CHARTS = {
    "table1_modulations": _table1,
    "fig2_unstructured": _fig2,
    "fig7_rate_distortion": _rates("fig7_rate_distortion", "Rate and distortion of images", "psnr8_db"),
    "climate_rate_distortion": _rates("climate_rate_distortion", "Rate and distortion of maps", "psnr_db"),
    "outer_loop": _outer_loop,
}
