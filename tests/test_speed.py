"""The cost of a meta-step beside the same step in another framework."""

import numpy as np
import pytest

from benchmarks import speed, speed_process, speed_pytorch

CASE = {
    "width": 12,
    "depth": 4,
    "batch": 2,
    "code": "functa",
    "budget": 5,
    "resolution": 8,
    "inner_steps": 3,
    "chunk_size": 1,
    "variant": "plain",
    "sine": "plain",
}


def _plain(case, task):
    """What the plain version gives."""
    learner, state, keys, coords, targets, codes = speed_process.inputs(case)
    arguments = {"meta_step": (*state, keys, coords, targets), "encode": (*state, coords, targets)}
    return speed_process._plain(learner)[task](*arguments.get(task, (state[0], coords, codes)))


def test_pytorchs_meta_step_is_the_plain_one():
    torch = pytest.importorskip("torch")
    gradients, loss = speed_pytorch.prepared(CASE, torch.device("cpu"))["meta_step"]()
    expected, of_plain = _plain(CASE, "meta_step")
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for name in ("layer_00", "layer_02", "output"):
        ours, theirs = (g["field"]["siren"][name]["kernel"] for g in (of_plain, gradients))
        np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-4 * np.abs(ours).max())


@pytest.mark.parametrize("code", ["functa", "mscn", "delta"])
@pytest.mark.parametrize("task", ["encode", "decode"])
def test_pytorch_encodes_and_decodes_what_the_plain_version_does(code, task):
    torch = pytest.importorskip("torch")
    case = CASE | {"code": code}
    found = speed_pytorch.prepared(case, torch.device("cpu"))[task]()
    np.testing.assert_allclose(found.numpy(), _plain(case, task), atol=1e-4)


def test_a_peer_that_is_not_installed_is_left_out_and_that_is_said(build, monkeypatch, capsys):
    monkeypatch.setattr(speed_pytorch, "installed", lambda: False)
    jobs = build("speed", 'speed.peers=["pytorch"]')
    assert "requirements-peers.txt" in capsys.readouterr().err
    assert jobs
    assert all(job.variants == speed.VARIANTS for job in jobs)
    monkeypatch.setattr(speed_pytorch, "installed", lambda: True)
    assert all(job.variants[-1][0] == "pytorch" for job in build("speed", 'speed.peers=["pytorch"]'))
