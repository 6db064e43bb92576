import types

import pytest

from mscn_flax import devices


@pytest.mark.parametrize(
    ("module", "accelerates"),
    [("jax_plugins/xla_cuda13", True), ("jax_plugins/xla_rocm7", True), ("libtpu", True), ("jax_plugins/other", False)],
)
def test_an_accelerator_is_known_by_its_plugin(module, accelerates, tmp_path, monkeypatch):
    # As where nobody has asked for the CPU, which these tests do.
    monkeypatch.setattr(devices, "jax", types.SimpleNamespace(config=types.SimpleNamespace(jax_platforms=None)))
    if devices.has_accelerator():
        pytest.skip("here is one")
    (tmp_path / module).mkdir(parents=True)
    (tmp_path / module / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert devices.has_accelerator() == accelerates
