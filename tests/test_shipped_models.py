"""The benchmark of the package's models, its table, and the cards that are made of its rows."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rooms

from benchmarks import cards, records, shipped_models
from benchmarks.figures import shipped_models as figure
from benchmarks.figures.results import Results
from mscn_flax import codec, shipped


@pytest.fixture(scope="module")
def shelf(shared_folder) -> shipped.Shelf:
    """Two models for pictures."""
    shelf = shipped.Shelf(shared_folder / "shipped")
    for name, numbers in (("photos_1", 3), ("photos_3", 15)):
        made = rooms.model("image", numbers)
        made.save(shelf.file(name))
        shelf.write_card(shipped.card(name, made, {}))
    return shelf


@pytest.fixture(scope="module")
def results(ran, shelf) -> Results:
    more = ["shipped.models=None", "shipped.real_codecs=['jpeg', 'webp', 'jpeg2000']", "Training.test_signals=2"]
    return Results(ran("shipped_models", f"shipped.folder='{shelf.folder}'", *more) / "results" / "smoke")


def test_every_model_and_format_has_one_row_per_file(results, shelf):
    rows = results.rows("shipped_models", records.RATE_COLUMNS)
    counts = rows.groupby("method").size()
    assert dict(counts) == {"photos_1": 2, "photos_3": 2, "jpeg": 28, "webp": 28, "jpeg2000": 28}
    ours = rows[rows["method"].isin(shelf.names())]
    np.testing.assert_allclose(ours["bpp"], 8 * ours["bytes"] / 32**2, rtol=1e-5)
    assert set(ours["trained_on"]) == {"made up, seed 0"}
    assert set(rows["dataset"]) == {"photos"}


def test_the_table_has_a_line_per_model_with_the_formats_at_its_rate(results):
    lines = figure.draw(results)["shipped_models.md"].splitlines()
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["photos_1", "photos_3"]
    assert "JPEG there (dB)" in lines[2]


def test_a_card_has_what_was_measured_of_this_very_model(shelf, tmp_path, results):
    rows = results.rows("shipped_models", records.RATE_COLUMNS)
    ours = rooms.model("image", 3)
    with pytest.raises(ValueError, match=f"no rows of photos_1 {ours.id[:8]}"):
        cards.judged(rows, "photos_1", ours.id)  # They are of a stand-in, and not of all files.
    mine = rows[rows["method"] == "photos_1"].assign(run_id=shipped_models.run_id("photos_1", "kodak", ours.id))
    copied = shipped.Shelf(tmp_path)
    ours.save(copied.file("photos_1"))
    assert cards.write(copied, mine) == [copied.card_file("photos_1")]
    card = json.loads(copied.card_file("photos_1").read_text())
    assert (card["judged_on"], card["files"]) == ("kodak", 2)
    assert card["rate"] == pytest.approx(mine["bpp"].mean(), rel=1e-3)
    assert card["psnr_db"] == pytest.approx(mine["psnr8_db"].mean(), rel=1e-3)
    rooms.model("image", 4).save(copied.file("photos_1"))
    with pytest.raises(ValueError, match="no rows of photos_1"):
        cards.write(copied, mine)


@pytest.mark.parametrize(("name", "kind"), [("maps", "map"), ("solids", "volume")])
def test_maps_and_solids_have_rows_too(name, kind, tmp_path):
    shelf, made = shipped.Shelf(tmp_path), rooms.model(kind)
    made.save(shelf.file(name))
    shelf.write_card(shipped.card(name, made, {}))
    dataset = shipped.ENTRIES[name].judged_on[0]
    job = shipped_models.ShippedJob(
        benchmark="shipped_models", preset="smoke", method=name, models=tmp_path, dataset=dataset, limit=None
    )
    assert job.id == shipped_models.run_id(name, dataset, made.id)
    signal = rooms.signal(kind)[0] if kind == "map" else rooms.signal(kind)

    class Two(SimpleNamespace):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return signal

    job.__dict__["judged"] = Two(name=dataset, source="subset")
    rows = job.run().tables[""]
    assert len(rows) == 2
    stream = codec.encode(made, signal)
    assert rows[0]["bytes"] == len(stream)
    assert float(rows[0]["bpp"]) == pytest.approx(8 * len(stream) / signal.size, rel=1e-5)
    assert set(rows[0]) == set(records.RATE_COLUMNS)
    if kind == "volume":
        wrong = made.coder.modality.errors(signal, codec.decode(made, stream))["wrong_voxels"]
        assert float(rows[0]["voxel_accuracy"]) == pytest.approx(1 - wrong, abs=1e-5)
