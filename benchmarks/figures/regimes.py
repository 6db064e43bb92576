"""When sparse modulations beat latents: maps of steps and depth, and a table of levers that are on or off."""

import matplotlib.colors
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from benchmarks.figures import style, tables
from benchmarks.figures.results import Drawn, Results

SETTING = ["dataset", "source", "budget", "depth", "width", "outer_steps"]
"""What a lever and the variant that it is compared with have in common, besides the method and the seed."""

COLUMNS = [*SETTING, "variant", "method", "seed", "psnr_db", "signals"]

MEASURES = ("psnr_db", "gain", "lead")
"""Columns of the table of levers, each with its least and largest value over the seeds, see `levers`."""

BASE, LATENTS, SPARSE = "base", "functa", "mscn"

# Diverging, with a lightness that falls from end to end: in grey too, a cell's shade says who leads, and by how much.
_SHADES = matplotlib.colors.LinearSegmentedColormap.from_list("lead", ["#fee0c2", "#c9ced8", "#5f86c2"])

CELLS = [("method", "{label}"), ("variant", "{name}"), ("seeds", "{seeds}"), ("PSNR (dB)", "{psnr_db_text}")]
CELLS += [("against base", "{gain_text}"), ("against Functa", "{lead_text}")]


def draw(results: Results) -> Drawn:
    """The table of the levers, and the maps where both methods have a cell in common."""
    rows = results.rows("regimes", COLUMNS)
    table, led = levers(rows), leads(rows)
    drawn = {"regimes.csv": table.to_csv(index=False, float_format="%.4f"), "regimes.md": _markdown(table, results)}
    return drawn | ({"regimes": _figure(led, results)} if len(led) else {})


def leads(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per cell of the map: `lead`, PSNR(MSCN) - PSNR(Functa) in dB, mean over `seeds` that both have."""
    base = rows[(rows["variant"] == BASE) & rows["method"].isin([LATENTS, SPARSE])]
    psnr = base.pivot_table(index=[*SETTING, "seed"], columns="method", values="psnr_db")
    lead = psnr.reindex(columns=[LATENTS, SPARSE]).dropna().pipe(lambda both: both[SPARSE] - both[LATENTS])
    return lead.groupby(SETTING).agg(lead="mean", seeds="size").reset_index()


def levers(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per setting that has a lever, method and variant: means, and least and largest of the seeds.

    `psnr_db`; `gain`: PSNR minus that of `base` for the same method and seed; `lead`: PSNR minus Functa's with the same
    lever and seed, or its `base` where the lever is not for Functa.
    """
    others = rows[(rows["variant"] != BASE) | ~rows["method"].isin([LATENTS, SPARSE])]
    rows = rows.merge(others[SETTING].drop_duplicates(), on=SETTING)
    same = [*SETTING, "seed"]
    base, latents = rows[rows["variant"] == BASE], rows[rows["method"] == LATENTS]
    compared = {
        "base": (base, [*same, "method"]),
        "latents": (latents, [*same, "variant"]),
        "latents_base": (latents[latents["variant"] == BASE], same),
    }
    for name, (reference, on) in compared.items():
        rows = rows.merge(reference[[*on, "psnr_db"]].rename(columns={"psnr_db": name}), how="left", on=on)
    rows = rows.assign(
        gain=rows["psnr_db"] - rows["base"], lead=rows["psnr_db"] - rows["latents"].fillna(rows["latents_base"])
    )
    of_seeds = {"seeds": ("seed", "nunique"), "signals": ("signals", "first")}
    for name in MEASURES:
        of_seeds |= {name: (name, "mean"), f"{name}_min": (name, "min"), f"{name}_max": (name, "max")}
    return rows.groupby([*SETTING, "method", "variant"], sort=False).agg(**of_seeds).reset_index()


def _markdown(table: pd.DataFrame, results: Results) -> str:
    text = f"Levers, preset {results.preset}: PSNR of validation signals, means over the seeds, and their range. "
    text += "Against base: the same method without the lever; against Functa: Functa with the same lever, or without "
    text += "one where the lever is not for Functa.\n"
    for (dataset, source, budget, depth, width, steps), part in table.groupby(SETTING, sort=False):
        counts = style.count(part["signals"].max(), "signal")
        text += f"\n{dataset}{style.SOURCES[source]}, {budget} numbers per signal, {depth} layers of {width}, "
        text += f"{steps:,} outer steps, {counts}:\n\n"
        by_method = part.sort_values("variant", key=lambda names: names != BASE, kind="stable").groupby("method")
        part = pd.concat([by_method.get_group(method) for method in style.ordered(part["method"])])
        shown = {"label": part["method"].map(style.label), "name": part["variant"].str.replace("_", " ")}
        shown |= {f"{name}_text": _ranges(part, name, "" if name == "psnr_db" else "+") for name in MEASURES}
        text += tables.formatted(part.assign(**shown), CELLS)
    return text


def _ranges(table: pd.DataFrame, name: str, sign: str) -> list[str]:
    """Each mean, with the range of the seeds where there are several; empty where there is nothing to compare with."""
    texts = []
    for mean, least, most, seeds in table[[name, f"{name}_min", f"{name}_max", "seeds"]].itertuples(index=False):
        span = f" ({least:{sign}.2f} to {most:{sign}.2f})" if seeds > 1 else ""
        texts.append("" if pd.isna(mean) else f"{mean:{sign}.2f}{span}")
    return texts


def _figure(led: pd.DataFrame, results: Results) -> plt.Figure:
    """One row of maps per data set and width, one column per budget; a cell that was not run is blank."""
    parts, budgets = list(led.groupby(["dataset", "source", "width"])), sorted(led["budget"].unique())
    figure, axes = style.grid(len(parts), len(budgets), 0.8 + 2.5 * len(budgets), 0.9 + 2.3 * len(parts))
    limit = max(led["lead"].abs().max(), 0.1)
    for line, ((dataset, source, width), part) in zip(axes, parts, strict=True):
        depths, steps = sorted(part["depth"].unique()), sorted(part["outer_steps"].unique(), reverse=True)
        for axis, budget in zip(line, budgets, strict=True):
            cells = part[part["budget"] == budget].pivot(index="outer_steps", columns="depth", values="lead")
            sns.heatmap(
                cells.reindex(index=steps, columns=depths).astype(float),
                ax=axis,
                vmin=-limit,
                vmax=limit,
                cmap=_SHADES,
                annot=True,
                annot_kws={"color": "black"},
                fmt="+.2f",
                cbar=False,
                linewidths=1,
            )
            axis.set(
                title=f"{style.named(dataset, source)}\n{budget} numbers per signal",
                xlabel=f"layers, each {width} wide",
                ylabel="",
            )
            axis.tick_params(axis="y", rotation=0)
            axis.grid(False)
        line[0].set_ylabel("outer steps")
    shades = plt.cm.ScalarMappable(matplotlib.colors.Normalize(-limit, limit), _SHADES)
    figure.colorbar(shades, ax=axes, label="lead of MSCN (dB)", aspect=30)
    fewest, most = led["seeds"].min(), led["seeds"].max()
    seeds = style.count(most, "seed") if fewest == most else f"{fewest} to {style.count(most, 'seed')}"
    title = f"Lead of MSCN's sparse modulations over Functa's latents · preset {results.preset}"
    figure.suptitle(f"{title}\nmean PSNR of validation signals over {seeds}; positive: MSCN is better", fontsize=9)
    return figure
