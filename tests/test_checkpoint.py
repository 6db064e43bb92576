import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.checkpoint import Checkpoints

STATE = {"a": jnp.arange(4.0), "none": None, "nested": {"flag": jnp.ones((), bool), "count": jnp.int32(3)}}


def test_latest_checkpoint_comes_back_to_the_bit(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.latest_step() is None
        for step in (1, 2, 3):
            checkpoints.save(step, {**STATE, "a": STATE["a"] + step})
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest_step() == 3
        step, restored = checkpoints.restore_latest(99, STATE)
    assert step == 3
    np.testing.assert_array_equal(restored["a"], np.arange(4.0) + 3)
    assert restored["none"] is None
    assert restored["nested"]["count"] == 3
    assert len([entry for entry in (tmp_path / "c").iterdir() if entry.name.isdigit()]) == 2


def test_an_unfinished_write_is_not_seen(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, STATE)
    (tmp_path / "c" / "2.orbax-checkpoint-tmp-0").mkdir()
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest_step() == 1


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"a": jnp.arange(5.0)}, r"a has shape \(4,\), this run needs \(5,\)"),
        ({"more": jnp.arange(2.0)}, r"more has shape None, this run needs \(2,\)"),
    ],
)
def test_another_run_s_arrays_are_refused(tmp_path, other, says):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, STATE)
    with Checkpoints(tmp_path / "c") as checkpoints, pytest.raises(ValueError, match=says):
        checkpoints.restore_latest(1, {**STATE, **other})


def test_what_lies_behind_the_latest_is_found_and_not_written_again(tmp_path):
    def taken(checkpoints, stop):
        return checkpoints.restore_latest(stop, STATE)[0]

    with Checkpoints(tmp_path / "c", keep=1, keep_period=10) as checkpoints:
        for step in (5, 10, 15, 20, 25):
            checkpoints.save(step, {**STATE, "a": STATE["a"] + step})
    with Checkpoints(tmp_path / "c", keep=1, keep_period=10) as checkpoints:
        assert [taken(checkpoints, stop) for stop in (9, 10, 19, 24, 25, 99)] == [0, 10, 10, 20, 25, 25]
        for step in (10, 12):  # As training does that goes from an earlier checkpoint to an earlier stop.
            checkpoints.save(step, STATE)
        assert checkpoints.latest_step() == 25
    with Checkpoints(tmp_path / "c") as checkpoints:
        step, state = checkpoints.restore_latest(11, STATE)
        assert step == 10
        np.testing.assert_array_equal(state["a"], np.arange(4.0) + 10)


@pytest.mark.parametrize("damage", ["emptied", "garbled", "half gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, damage, capsys):
    with Checkpoints(tmp_path / "c", keep=3) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, {**STATE, "a": STATE["a"] + step})
    files = sorted(path for path in (tmp_path / "c" / "2").rglob("*") if path.is_file())
    for path in files if damage == "emptied" else files[::2] if damage == "half gone" else []:
        path.write_bytes(b"") if damage == "emptied" else path.unlink()
    for path in files if damage == "garbled" else []:
        path.write_bytes(bytes(255 - byte for byte in path.read_bytes()))
    with Checkpoints(tmp_path / "c", keep=3) as checkpoints:
        step, state = checkpoints.restore_latest(9, STATE)
        assert step == 1
        np.testing.assert_array_equal(state["a"], np.arange(4.0) + 1)
        checkpoints.save(2, STATE)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("checkpoint of step 2 is damaged")
    with Checkpoints(tmp_path / "c", keep=3) as checkpoints:
        assert checkpoints.restore_latest(9, STATE)[0] == 2


def test_what_a_machine_lacks_costs_no_checkpoint(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, STATE)

    def full(*arguments, **more):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    with Checkpoints(tmp_path / "c") as checkpoints:
        monkeypatch.setattr(checkpoints._manager, "restore", full)
        with pytest.raises(RuntimeError, match="out of memory"):
            checkpoints.restore_latest(9, STATE)
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.restore_latest(9, STATE)[0] == 1


def test_a_folder_in_which_none_would_be_found_again_is_refused(tmp_path):
    with pytest.raises(ValueError, match="brackets in its name"):
        Checkpoints(tmp_path / "runs[1]")


def test_without_a_folder_nothing_is_kept():
    with Checkpoints(None) as checkpoints:
        checkpoints.save(1, STATE)
        assert checkpoints.restore_latest(9, STATE) == (0, STATE)
