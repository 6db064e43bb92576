import concurrent.futures
import json

import pytest

from benchmarks import records


def row(run_id, signal, psnr=20.0):
    return dict.fromkeys(records.COLUMNS, "") | {"run_id": run_id, "signal_id": signal, "psnr_db": psnr}


def test_a_cell_replaces_its_own_rows_and_no_others(tmp_path):
    path = tmp_path / "x.csv"
    records.append(path, [row("a-s0-11", 0), row("a-s0-11", 1)])
    records.append(path, [row("b-s0-11", 0)])
    before = path.read_text().splitlines()
    records.append(path, [row("a-s0-22", 0, 25.0)])
    rows = records.read(path)
    assert sorted(rows["run_id"]) == ["a-s0-22", "b-s0-11"]
    assert before[-1] in path.read_text().splitlines()  # To the letter.
    assert [entry.name for entry in tmp_path.iterdir() if not entry.name.endswith(".lock")] == ["x.csv"]


def test_seeds_of_another_configuration_go_and_are_named(tmp_path, capsys):
    path = tmp_path / "x.csv"
    for run_id in ("a-64-s0-11", "a-64-s1-11", "a-128-s1-33", "b-64-s1-11"):
        records.append(path, [row(run_id, 0)])
        records.append_provenance(tmp_path / "x.jsonl", {"run_id": run_id})
    assert capsys.readouterr().err == ""
    records.append(path, [row("a-64-s0-22", 0)])
    assert capsys.readouterr().err == f"{path}: rows of another configuration go: a-64-s0-11, a-64-s1-11\n"
    records.append_provenance(tmp_path / "x.jsonl", {"run_id": "a-64-s0-22"})
    left = ["a-128-s1-33", "b-64-s1-11", "a-64-s0-22"]
    assert list(records.read(path)["run_id"]) == left
    assert [json.loads(line)["run_id"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == left


def test_concurrent_writers_lose_nothing(tmp_path):
    path = tmp_path / "x.csv"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: records.append(path, [row(f"cell{i}-0", s) for s in range(5)]), range(24)))
    assert len(records.read(path)) == 120


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "x.csv"
    records.append(path, [row("a-0", 0)])
    before = path.read_text()

    def fail():
        with records.replaced(path) as out:
            out.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == before
    assert {entry.name for entry in tmp_path.iterdir()} <= {"x.csv", ".x.csv.lock"}


def test_wrong_columns_are_refused(tmp_path):
    path = tmp_path / "x.csv"
    with pytest.raises(ValueError, match="nonsense"):
        records.append(path, [row("a-0", 0) | {"nonsense": 1}])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="expected"):
        records.read(path)
