"""Puts the report of a preset together."""

import html
import importlib
import json
import pathlib
from collections.abc import Callable

import jinja2
import markdown_it
import pandas as pd
import PIL.Image
import plotly.offline

from benchmarks.catalogue import CATALOGUE
from benchmarks.figures import style, table1_modulations, tables, verdict
from benchmarks.figures.results import Results
from benchmarks.report import charts, signals

_HERE = pathlib.Path(__file__).parent


def build(results: Results, plots: pathlib.Path) -> str:
    """The report as one HTML file, with all that it shows.

    Args:
      results: of the preset.
      plots: folder with its figures and tables, as `benchmarks.plot` draws them.

    Raises:
      ValueError: for damaged rows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    drawn = dict(charts.charts(results))
    there = [name for name in CATALOGUE if results.has(name)]
    sections = [_section(name, plots, drawn.get(name)) for name in there]
    data = {
        "charts": {name: json.loads(chart.figure.to_json()) for name, chart in drawn.items()},
        "collections": [_collection(each) for each in signals.collections(results)],
        "runs": _runs(results, there),
    }
    return environment.get_template("template.html").render(
        preset=results.preset,
        claims=list(verdict.claims(results)),
        table1=_table1(results),
        sections=sections,
        missing=[(name, CATALOGUE[name]) for name in CATALOGUE if name not in there],
        data=_script(data),
        plotly=plotly.offline.get_plotlyjs(),
        style=(_HERE / "report.css").read_text(),
        script=(_HERE / "report.js").read_text(),
    )


def _script(data: dict) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")


def _section(name: str, plots: pathlib.Path, chart: charts.Chart | None) -> dict:
    """What there is of one benchmark."""
    entry, figures, texts = CATALOGUE[name], [], []
    for figure in entry.figures:
        about = importlib.import_module(f"benchmarks.figures.{figure}").__doc__.strip().splitlines()[0]
        for path in sorted(plots.glob(f"{figure}*.png")):
            figures.append({"file": path.name, "alt": about, "src": signals.uri(PIL.Image.open(path))})
        texts += [_html(path.read_text()) for path in sorted(plots.glob(f"{figure}*.md"))]
    controls = {} if chart is None else chart.controls
    title = "" if chart is None else chart.title
    heading = entry.paper.removeprefix("none: ")
    return {
        "name": name,
        "title": heading[0].upper() + heading[1:],
        "entry": entry,
        "figures": figures,
        "tables": texts,
        "chart": title,
        "controls": controls,
    }


def _html(text: str) -> str:
    """Markdown with tables as HTML; whatever else it has of HTML is shown as it is written."""
    return markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table").render(text)


def _table1(results: Results) -> dict[str, str]:
    """Table 1 as the paper has it, and as it is here, by title."""
    if not results.has("table1_modulations"):
        return {}
    return {
        "The paper: 15 layers of 512, its data": _wide(table1_modulations.published(), lambda _: "paper"),
        f"Here, preset {results.preset}": _wide(table1_modulations.measured(results), table1_modulations.headline),
    }


def _wide(table: pd.DataFrame, column: Callable[[pd.DataFrame], str]) -> str:
    """A line per data set and method, a column per budget; `column` names what a data set is judged by."""
    budgets, body = sorted(table["budget"].unique()), []
    for (dataset, source), part in table.groupby(["dataset", "source"]):
        for method, line in part[~part["method"].str.endswith("flops")].groupby("method"):
            at = line.set_index("budget")[column(part)].reindex(budgets)
            cells = [f"{value:.2f}" if value == value else "–" for value in at]
            body.append([style.named(dataset, source), style.label(method), *cells])
    return _html(tables.markdown(["data set", "method", *map(str, budgets)], body))


def _collection(made: signals.Collection) -> dict:
    """As the script takes it."""
    return {
        "name": made.name,
        "title": made.title,
        "unit": made.unit,
        "series": [{"label": label, "runs": runs} for label, runs in made.series],
        "signals": made.signals,
        "values": made.values,
        "rates": made.rates,
        "originals": made.originals,
        "pictures": {
            signal: {index: [each.value, each.error] for index, each in of_signal.items()}
            for signal, of_signal in made.pictures.items()
        },
        "error": made.error,
        "note": made.note,
    }


def _runs(results: Results, names: list[str]) -> dict:
    """Provenance of every run by its id; configurations, which many runs share, once."""
    runs, texts = {}, {}
    for name in names:
        path = results.folder / f"{name}.provenance.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                found = json.loads(line)
                text = found.pop("gin", "")
                versions = ", ".join(f"{key} {value}" for key, value in found.pop("versions", {}).items())
                facts = {key: value for key, value in found.items() if key != "run_id"}
                facts |= {"benchmark": name, "versions": versions, "gin": texts.setdefault(text, len(texts))}
                runs[found["run_id"]] = facts
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f"{path}, line {number}, is damaged: {html.escape(str(error))}") from error
    return {"runs": runs, "gin": list(texts)}
