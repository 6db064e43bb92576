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
        restored = checkpoints.restore(3, STATE)
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
        checkpoints.restore(1, {**STATE, **other})


def test_what_lies_behind_the_latest_is_found_and_not_written_again(tmp_path):
    with Checkpoints(tmp_path / "c", keep=1, keep_period=10) as checkpoints:
        for step in (5, 10, 15, 20, 25):
            checkpoints.save(step, {**STATE, "a": STATE["a"] + step})
    with Checkpoints(tmp_path / "c", keep=1, keep_period=10) as checkpoints:
        assert [checkpoints.latest_step_by(step) for step in (9, 10, 19, 24, 25, 99)] == [None, 10, 10, 20, 25, 25]
        for step in (10, 12):  # As training does that goes from an earlier checkpoint to an earlier stop.
            checkpoints.save(step, STATE)
        assert checkpoints.latest_step() == 25
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest_step_by(24) == 20
        np.testing.assert_array_equal(checkpoints.restore(10, STATE)["a"], np.arange(4.0) + 10)
