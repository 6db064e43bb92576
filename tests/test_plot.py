"""What `python -m benchmarks.plot` says of what it cannot draw."""

import pytest
from drawing import plot, write, write_table1

from benchmarks.figures import table1_modulations
from benchmarks.figures.results import Results


def the_error(done):
    """What a command printed that failed as a mistake of the user's should."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_what_is_not_there_is_said_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    write_table1(tmp_path, ("mscn", 0, 16, 0, 0.008))
    for arguments, words in (
        (["--preset=nope"], ["'nope'", "there are", "quick"]),
        ([f"--results_dir={tmp_path / 'empty'}"], ["'quick'", str(tmp_path / "empty")]),
        ([f"--results_dir={tmp_path / 'nothing'}"], ["'quick'", str(tmp_path / "nothing")]),
        (["table9"], ["'table9'", "table1_modulations"]),
        (["speed", f"--results_dir={tmp_path}"], [str(tmp_path / "quick" / "speed.csv"), "--only speed"]),
    ):
        error = the_error(plot(f"--plots_dir={tmp_path / 'plots'}", *arguments))
        assert all(word in error for word in words), error
    assert not (tmp_path / "plots").exists()


def test_an_unwritable_folder_is_said_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    write_table1(tmp_path, ("mscn", 0, 16, 0, 0.008))
    error = the_error(plot(f"--results_dir={tmp_path}", f"--plots_dir={tmp_path / 'file'}"))
    assert str(tmp_path / "file") in error


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: "", "its columns are missing"),
        (lambda text: text.splitlines()[0] + "\n", "has none"),
        (lambda text: text[:-40], "line 3 is not whole"),
        (lambda text: text.rstrip("\n"), "line 3 is not whole"),
        (lambda text: text.replace("0.008", "0.0x8"), "mse is '0.0x8', not a number"),
        (lambda text: text.replace("subset,mscn", "susbet,mscn", 1), "source is 'susbet'"),
        (lambda text: text.replace("psnr_db", "psnr_bd", 1), "no column 'psnr_db'"),
        (lambda text: text.replace("subset,mscn", "subset,", 1), "line 2 has no method"),
        (lambda text: text.replace("cifar10", ""), "line 2 has no dataset"),
        (lambda text: text + text.splitlines()[1] + "\n", "line 4 is there twice"),
        (lambda text: text.replace("cifar10", '"cifar10', 1), "unexpected end of data"),
        (lambda text: text.replace("cifar10", "\udcff", 1), "can't decode"),
    ],
)
def test_a_damaged_csv_is_named(damage, words, tmp_path):
    write_table1(tmp_path, ("mscn", 0, 16, 0, 0.008), ("functa", 0, 16, 0, 0.01))
    path = tmp_path / "quick" / "table1_modulations.csv"
    path.write_text(damage(path.read_text()), errors="surrogateescape")
    with pytest.raises(ValueError, match=words) as raised:
        table1_modulations.draw(Results(tmp_path / "quick"))
    assert str(path) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_damaged_csv_ends_in_one_line(tmp_path):
    write(tmp_path / "quick" / "growth.csv", [{"factor": "points", "value": 1}])
    error = the_error(plot(f"--results_dir={tmp_path}", f"--plots_dir={tmp_path / 'plots'}"))
    assert "growth.csv is damaged: it has no column 'device'" in error
