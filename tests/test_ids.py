"""What the id of a run says: everything that decides its rows, and nothing else."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import ids
from mscn_flax import data
from mscn_flax.train_state import TrainState

TABLE1 = ["table1.datasets=['photos']", "table1.methods=['mscn']"]


def _job(build, *parameters):
    (job,) = build("table1_modulations", *TABLE1, *parameters)
    return job


@pytest.mark.parametrize("binding", ["HardConcrete.beta=0.3", "table1/HardConcrete.beta=0.3", "Siren.w0=7.0"])
def test_a_binding_with_or_without_a_scope_is_another_run(build, binding):
    usual = _job(build)
    usual_ids = usual.id, usual.training
    other = _job(build, binding)
    assert other.id != usual_ids[0]
    assert other.training != usual_ids[1]
    # Whatever is bound by the time that an id is asked for.
    assert (ids.digest_of(usual.decides), usual.training) == (usual_ids[0].rpartition("-")[2], usual_ids[1])


def test_signals_are_told_apart_by_what_they_are(build):
    pictures = list(np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), np.uint8))
    told = data.fingerprint(pictures)
    assert data.fingerprint(list(map(np.array, pictures))) == told
    turned = [each[::-1, ::-1] for each in pictures]
    for others in (pictures[:-1], [255 - each for each in pictures], pictures[1:] + pictures[:1], turned):
        assert data.fingerprint(others) != told
    assert data.fingerprint([each + np.float32(1e-6) for each in pictures]) == told
    scene = {"views": np.ones((2, 4, 4, 3), np.uint8), "poses": np.eye(4)[None]}
    assert data.fingerprint([scene]) != data.fingerprint([scene | {"poses": 2 * np.eye(4)[None]}])
    job = _job(build)
    assert data.fingerprint(job.signals("train")) in job.data
    assert f"judged on {job.setup.training.test_signals} of " in job.data


def test_one_training_that_serves_all_budgets_is_judged_at_that_of_each_job(build):
    nested = ["table1.datasets=['photos']", "table1.methods=['mscn_nested']", "table1.budgets=[4, 8]"]
    small, large = build("table1_modulations", *nested, "BudgetController.nested=(4, 8)")
    assert small.training == large.training
    assert small.id != large.id
    controller = small.setup.learner.controller
    gates = controller.start((16,)).replace(mask=jnp.arange(16) < 8, rank=jnp.arange(16), frozen=jnp.ones((), bool))
    state = TrainState(jnp.zeros((), jnp.int32), {}, gates, ())
    assert [int(job.at_budget(state).gates.at_test_time().mask.sum()) for job in (small, large)] == [4, 8]


def test_variants_say_what_they_are_judged_on(build):
    for job in build("outer_loop"):
        assert "judged on 8 of " in job.data
        assert data.fingerprint(job.signals("validation")) in job.data.partition("judged")[2]


def test_functions_go_by_their_names_and_what_has_none_is_refused():
    assert ids.choices((jnp.tanh, np.sum)) == ids.choices((jnp.tanh, np.sum))
    assert "tanh" in ids.choices(jnp.tanh)
    assert " at 0x" not in ids.choices((jnp.tanh, functools.partial(jnp.sum, axis=1)))
    with pytest.raises(ValueError, match="give a function of a module"):
        ids.choices(lambda x: x)
