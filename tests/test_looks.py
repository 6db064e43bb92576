import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from drawing import fig2_rows, fig7_rows, write, write_table1

from benchmarks import looks, records
from benchmarks.figures import (
    fig2_unstructured,
    fig7_rate_distortion,
    output,
    style,
    table1_modulations,
    values,
)
from benchmarks.figures.results import Results


@pytest.fixture(autouse=True)
def _no_methods_from_outside():
    yield
    style.use({})


def test_methods_from_outside_take_part(tmp_path):
    """A network and a file codec that the repository does not know, with and without a recorded look."""
    folder = tmp_path / "quick"
    looks.record(folder / "methods.json", {"top_n": looks.Look("Top-n", "#7a0177", ":", "h")})
    style.use(looks.read(folder / "methods.json"))
    write_table1(tmp_path, ("top_n", 0, 16, 0, 0.01), ("mscn", 0, 16, 0, 0.008))
    drawn = table1_modulations.draw(Results(folder))
    assert "| Top-n | mean of PSNRs | 20.00 |" in drawn["table1_modulations.md"]
    (axis,) = drawn["table1_modulations"].axes
    (line,) = (line for line in axis.lines if line.get_label() == "Top-n")
    assert (line.get_color(), line.get_linestyle(), line.get_marker()) == ("#7a0177", ":", "h")
    write(folder / "fig2_unstructured.csv", fig2_rows("top_n", 0.4, 0, (20, 22)) + fig2_rows("mine", 0.4, 0, (20, 22)))
    figure = fig2_unstructured.draw(Results(folder))["fig2_unstructured"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Top-n", "mine"]
    points = [fig7_rows("top_n", bits, n, n * bits / 64, 20 + n) for bits in (5, 32) for n in (8, 16)]
    points += [fig7_rows("my_codec", "", n, n, 20 + n) for n in (4, 8)]
    write(folder / "fig7_rate_distortion.csv", [row for of_point in points for row in of_point])
    drawn = fig7_rate_distortion.draw(Results(folder))
    assert "| Top-n | 8 | plain | 5 |" in drawn["fig7_rate_distortion.md"]
    names = [text.get_text() for text in drawn["fig7_rate_distortion"].legends[0].get_texts()]
    assert names == ["Top-n", "my codec"]
    output.write(drawn, tmp_path / "plots")


def test_pictures_of_one_recipe_do_not_take_the_place_of_another(tmp_path):
    rows = [{"recipe": recipe, "seed": 0, "budget": 4, "method": "mscn"} for recipe in ("published", None)]
    kept = values.Kept("maps_real", "maps", "", pd.DataFrame(rows), ["mscn"], [4], tmp_path)
    for label, value in (("mscn_4", 1), (records.kept_as("mscn_4", "published"), 2), ("original", 3)):
        np.savez(tmp_path / f"maps_real_{label}.npz", values=np.full(2, value))
    best = kept._replace(rows=kept.rows.assign(recipe="best"))
    found = [each.load(label)[0] for each in (kept, best) for label in ("mscn_4", "original")]
    assert found == [2, 3, 1, 3]
    assert kept.load("mscn_8") is None


def test_recipes_are_told_apart_where_two_are_compared(tmp_path):
    def names(*recipes):
        points = [row | {"recipe": r} for r in recipes for b in (5, 32) for row in fig7_rows("mscn", b, 8, b, 20 + b)]
        write(tmp_path / "quick" / "fig7_rate_distortion.csv", points)
        return set(Results(tmp_path / "quick").compared("fig7_rate_distortion")["method"])

    assert names("best") == {"mscn"}
    assert names("published", "best") == {"mscn:published", "mscn:best"}
    assert style.label("mscn:best") == "MSCN (best)"
    assert style.look("mscn:published") == style.look("mscn") | {"markerfacecolor": "white"}
    assert style.ordered(["jpeg", "mscn:best", "mscn:published"]) == ["mscn:published", "mscn:best", "jpeg"]


def test_automatic_looks_can_be_told_apart_without_colours():
    known = {(look.linestyle, look.marker) for look in style.METHODS.values()}
    unknown = [style.look(f"method_{index}") for index in range(28)]
    found = {(look["linestyle"], look["marker"]) for look in unknown}
    assert len(found) == 28
    assert not found & known
    red, green, blue = matplotlib.colors.to_rgba_array([look["color"] for look in unknown])[:, :3].T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (np.abs(np.diff(grey)) > 0.1).all()
    assert style.look("method_3") == unknown[3]


def test_looks_are_recorded_one_by_one(tmp_path):
    path = tmp_path / "methods.json"
    assert looks.read(path) == {}
    for name, look in (("a", looks.Look("A")), ("b", looks.Look(marker="x")), ("a", looks.Look("A again"))):
        assert looks.record(path, {name: look})
        assert not looks.record(path, {name: look})
    assert looks.read(path) == {"a": looks.Look("A again"), "b": looks.Look(marker="x")}
    style.use(looks.read(path))
    assert style.label("a") == "A again"
    assert style.label("b") == "b"
    assert style.look("b")["marker"] == "x"


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"colour": "red"}}', '{"a": {"color": 1}}'])
def test_damaged_looks_are_refused(text, tmp_path):
    (tmp_path / "methods.json").write_text(text)
    with pytest.raises(ValueError, match=r"methods\.json"):
        looks.read(tmp_path / "methods.json")


@pytest.mark.parametrize("field", [{"color": "bluish"}, {"marker": "??"}, {"linestyle": "wavy"}])
def test_looks_that_cannot_be_drawn_are_refused(field):
    (value,) = field.values()
    with pytest.raises(ValueError, match=f"'mine': .*{value[0]}"):
        style.use({"mine": looks.Look(**field)})
