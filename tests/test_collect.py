"""Run folders and what is collected from them: whole or named, to the letter, in linear time."""

import concurrent.futures
import dataclasses
import json
import pathlib
import shutil

import pytest

from benchmarks import collect, csv_files, engine, records, run_folder
from benchmarks.job import Job
from benchmarks.run_folder import Result, Run
from mscn_flax import atomic

NAME = "table1_modulations"
COMMITTED = records.REPOSITORY / "results" / "quick"


def row(run_id, signal=0, psnr="20.0"):
    return dict.fromkeys(records.MODULATION_COLUMNS, "") | {"run_id": run_id, "signal_id": signal, "psnr_db": psnr}


def mask(run_id):
    return dict.fromkeys(records.MASK_COLUMNS, "") | {"run_id": run_id, "unit": "20.0"}


def stored(folder, run_id, finished="2026-01-01", *, signals=2, masks=1, files=None) -> pathlib.Path:
    """A run folder below `folder`/runs."""
    path = folder / "runs" / "quick" / NAME / run_id
    tables = {"": [row(run_id, i) for i in range(signals)], "_masks": [mask(run_id)] * masks}
    run_folder.store(path, NAME, Result(tables, files or {}), {"run_id": run_id, "finished": finished})
    return path


def collected(folder) -> list[str]:
    """Names of what `collect` changes."""
    found = collect.collect(NAME, "quick", folder / "runs", folder / "results")
    return [str(path.relative_to(folder / "results" / "quick")) for path in found]


def ids(folder, suffix="") -> list[str]:
    return list(dict.fromkeys(r["run_id"] for r in csv_files.read_rows(folder / f"results/quick/{NAME}{suffix}.csv")))


def run(run_id, finished, asked=None):
    return Run(pathlib.Path(run_id), {"run_id": run_id, "finished": finished}, (), (), asked or finished)


def told(*run_ids, **more):
    return [{"run_id": run_id} | more for run_id in run_ids]


def test_the_latest_configuration_of_a_cell_and_of_all_its_seeds_counts():
    first = [run(name, "1") for name in ("a-64-s0-11", "a-64-s1-11", "b-64-s0-11")]
    assert collect.latest(first) == first
    later = run("a-64-s0-22", "2")
    assert collect.latest([later, *first]) == [first[2], later]
    again = run("a-64-s1-22", "3")
    assert collect.latest([again, *first, later]) == [first[2], later, again]
    # What was configured first counts again, and all of it, once it has run or is asked for again.
    assert collect.latest([*first[1:], again, later, run("a-64-s0-11", "4")])[-1].provenance["finished"] == "4"
    asked = run("a-64-s0-11", "1", "4")
    assert collect.latest([asked, *first[1:], again, later]) == [asked, *first[1:]]


def test_new_rows_take_the_place_of_their_cell_and_of_other_configurations_of_its_family():
    committed = [row(name) for name in ("a-64-s0-11", "a-64-s1-11", "a-128-s0-11", "a-64-s10-11", "b-64-s0-11")]
    new = [row("a-64-s0-22")]
    assert collect.merged(committed, new, told("a-64-s0-22"), {}) == [committed[2], committed[4], *new]
    # The same configuration of another seed leaves what is there.
    more = [row("a-64-s2-11")]
    assert collect.merged(committed, more, told("a-64-s2-11"), {}) == [*committed, *more]
    # A run without rows takes those of before away.
    assert collect.merged(committed[:2], [], told("a-64-s0-11"), {}) == committed[1:2]
    assert collect.merged(committed, [], [], {}) == committed


def test_seeds_on_other_data_are_of_another_family():
    committed = [row(name) for name in ("a-64-s0-11", "a-64-s1-11", "b-64-s0-11")]
    new, more = told("a-64-s2-11", data="others"), [row("a-64-s2-11")]
    before = {line["run_id"]: line for line in told("a-64-s0-11", "b-64-s0-11", data="some")}
    # Of the second nobody knows.
    assert collect.merged(committed, more, new, before) == [*committed[1:], *more]
    first, later = (run(f"a-64-s{seed}-11", str(seed)) for seed in (1, 2))
    first.provenance["data"], later.provenance["data"] = "some", "others"
    assert collect.latest([first, later]) == [later]


def test_a_copied_run_folder_gives_no_rows_twice(tmp_path, capsys):
    path = stored(tmp_path, "a-64-s0-11")
    shutil.copytree(path, path.with_name("a-64-s0-11.bak"))
    (path / run_folder.ASKED).write_bytes(b"\xff")  # Nor does a file that says nothing keep from anything.
    collected(tmp_path)
    assert len(csv_files.read_rows(tmp_path / f"results/quick/{NAME}.csv")) == 2
    assert "is left out: it is a copy of run a-64-s0-11" in capsys.readouterr().err


def test_runs_become_rows_provenance_and_files_once(tmp_path):
    stored(tmp_path, "a-64-s0-11", files={"values/picture.npz": b"bits"})
    stored(tmp_path, "b-64-s0-11", "2026-01-02", masks=0)
    names = [f"{NAME}.csv", f"{NAME}_masks.csv", f"{NAME}.provenance.jsonl", f"{NAME}_values/picture.npz"]
    assert collected(tmp_path) == names
    assert collected(tmp_path) == []
    assert ids(tmp_path) == ["a-64-s0-11", "b-64-s0-11"]
    assert ids(tmp_path, "_masks") == ["a-64-s0-11"]
    lines = (tmp_path / "results" / "quick" / f"{NAME}.provenance.jsonl").read_text().splitlines()
    assert [json.loads(line)["run_id"] for line in lines] == ["a-64-s0-11", "b-64-s0-11"]


def test_rows_without_a_run_folder_stay_to_the_letter_and_those_that_go_are_named(tmp_path, capsys):
    for run_id in ("a-64-s0-11", "a-64-s1-11", "b-64-s0-11"):
        stored(tmp_path, run_id)
    collected(tmp_path)
    shutil.rmtree(tmp_path / "runs")
    path = tmp_path / "results" / "quick" / f"{NAME}.csv"
    path.write_text(path.read_text().replace("20.0", "20.00"))
    before = path.read_text().splitlines()
    assert capsys.readouterr().err == ""
    stored(tmp_path, "a-64-s0-22", "2026-01-02", masks=0)
    collected(tmp_path)
    assert capsys.readouterr().err == f"{path}: rows of another configuration go: a-64-s0-11, a-64-s1-11\n"
    assert ids(tmp_path) == ["b-64-s0-11", "a-64-s0-22"]
    assert ids(tmp_path, "_masks") == ["b-64-s0-11"]
    assert path.read_text().splitlines()[:3] == [before[0], *before[-2:]]


@pytest.mark.parametrize("name", records.TABLES)
def test_committed_rows_come_out_as_they_went_in(name, tmp_path):
    folder = tmp_path / "results" / "quick"
    folder.mkdir(parents=True)
    for path in COMMITTED.glob(f"{name}*.*"):
        shutil.copy(path, folder)
    assert collect.collect(name, "quick", tmp_path / "runs", tmp_path / "results") == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "its columns are missing"),
        (lambda data: data[:-7], "line 3 is not whole"),
        (lambda data: data[:-1], "line 3 is not whole"),
        (lambda data: data.replace(b",20.0,", b",20.0", 1), "line 2 is not whole"),
        (lambda data: data.replace(b"20.0", b"\0\0.0"), "line 2 is not whole"),
        (lambda data: data.replace(b"20.0", b"\xff\xfe.0"), "can't decode"),
        (lambda data: data.replace(b"20.0", b'"0.0', 1), "unexpected end of data"),
        (lambda data: data + b'"' + b"0" * 200_000, "field larger than field limit"),
        (lambda data: b"a,b\n1,2\n", "its columns are a, b"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "_masks"])
def test_a_damaged_csv_is_named_and_nothing_is_written(damage, says, suffix, tmp_path):
    stored(tmp_path, "a-64-s0-11", masks=2)
    collected(tmp_path)
    path = tmp_path / "results" / "quick" / f"{NAME}{suffix}.csv"
    path.write_bytes(damage(path.read_bytes()))
    stored(tmp_path, "b-64-s0-11")
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(ValueError, match=says) as raised:
        collected(tmp_path)
    assert str(raised.value).startswith(f"{path} is damaged: ")
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("text", ["{", "[1]\n", '{"seed": 0}\n', "\0"])
def test_damaged_provenance_is_named_and_nothing_is_written(text, tmp_path):
    stored(tmp_path, "a-64-s0-11")
    path = tmp_path / "results" / "quick" / f"{NAME}.provenance.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        collected(tmp_path)
    assert list(path.parent.iterdir()) == [path]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredJob(Job):
    """Known by its folder alone."""

    where: pathlib.Path

    id = "a-64-s0-11"

    @property
    def folder(self):
        return self.where


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("run.json", lambda data: data[:-5]),
        ("run.json", lambda data: b"[]"),
        ("run.json", lambda data: b"{}"),
        ("run.json", lambda data: data.replace(b'"finished"', b'"started"')),
        ("run.json", lambda data: b'{"provenance": {"run_id": 1, "finished": 1}, "tables": [], "contents": 3}'),
        ("run.json", lambda data: b"\xff\xfe"),
        ("table.csv", lambda data: data[:-5]),
        ("table.csv", lambda data: data.replace(b"20.0", b"30.0")),
        ("table_masks.csv", None),
        ("values/picture.npz", lambda data: b"bit"),
    ],
)
def test_a_damaged_run_is_named_and_done_again(name, damage, tmp_path, capsys):
    folder = stored(tmp_path, "a-64-s0-11", files={"values/picture.npz": b"bits"})
    job = StoredJob(benchmark=NAME, preset="quick", where=folder)
    assert engine.done(job)
    assert capsys.readouterr().out == "a-64-s0-11: done before\n"
    if damage is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
    assert not engine.done(job)
    assert capsys.readouterr().err.startswith(f"{folder / name} is damaged")
    with pytest.raises(ValueError, match=f"{folder / name} is damaged.*delete {folder / 'run.json'}"):
        collected(tmp_path)
    assert not (tmp_path / "results").exists()
    stored(tmp_path, "a-64-s0-11", files={"values/picture.npz": b"bits"})
    assert engine.done(job)


def test_what_was_asked_for_last_counts(tmp_path):
    first = stored(tmp_path, "a-64-s0-11")
    stored(tmp_path, "a-64-s0-22", "2026-01-02")
    collected(tmp_path)
    assert ids(tmp_path) == ["a-64-s0-22"]
    assert engine.done(StoredJob(benchmark=NAME, preset="quick", where=first))
    collected(tmp_path)
    assert ids(tmp_path) == ["a-64-s0-11"]


def test_a_run_on_other_signals_is_done_again(tmp_path, capsys):
    folder = stored(tmp_path, "a-64-s0-11")

    class OnSignals(StoredJob):
        data = "12,800 signals of cid22 (standin)"

    job = OnSignals(benchmark=NAME, preset="quick", where=folder)
    assert engine.done(job)  # An earlier version did not say.
    said = {"run_id": "a-64-s0-11", "finished": "2026-01-01", "data": "2,280 signals of photos (standin)"}
    run_folder.store(folder, NAME, Result({"": [row("a-64-s0-11")]}), said)
    assert not engine.done(job)
    says = "was trained on 2,280 signals of photos (standin); now there are 12,800 signals of cid22 (standin)"
    assert f"{says}; the run is done again" in capsys.readouterr().err


def test_a_run_of_a_version_with_other_columns_is_named(tmp_path, monkeypatch, capsys):
    folder = stored(tmp_path, "a-64-s0-11")
    columns = {"": (*records.MODULATION_COLUMNS, "newer"), "_masks": records.MASK_COLUMNS}
    monkeypatch.setitem(records.TABLES, NAME, columns)
    with pytest.raises(ValueError, match=r"table\.csv has the columns of another version; delete .*run\.json"):
        collected(tmp_path)
    assert not engine.done(StoredJob(benchmark=NAME, preset="quick", where=folder))
    assert "the run is done again" in capsys.readouterr().err


def test_a_run_without_its_record_is_not_done(tmp_path):
    folder = stored(tmp_path, "a-64-s0-11")
    (folder / "run.json").unlink()
    assert run_folder.load(folder) is None
    assert collected(tmp_path) == []


def test_rows_of_other_columns_are_not_stored(tmp_path):
    result = Result({"": [row("a-64-s0-11") | {"nonsense": 1}]})
    with pytest.raises(ValueError, match="differ in \\['nonsense'\\]"):
        run_folder.store(tmp_path / "run", NAME, result, {})
    assert not (tmp_path / "run").exists()


def test_concurrent_runs_lose_nothing(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        # Every run is stored twice, with other rows each time: what is left is one of the two, whole.
        list(pool.map(lambda i: stored(tmp_path, f"cell{i // 2}-s0-11", signals=3 + 2 * (i % 2)), range(24)))
    collected(tmp_path)
    assert sorted(ids(tmp_path)) == sorted(f"cell{i}-s0-11" for i in range(12))
    rows = csv_files.read_rows(tmp_path / "results" / "quick" / f"{NAME}.csv")
    counts = [sum(r["run_id"] == f"cell{i}-s0-11" for r in rows) for i in range(12)]
    assert set(counts) <= {3, 5}


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("whole")

    def fail():
        with atomic.replaced(path) as out:
            out.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]
