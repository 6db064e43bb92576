import os
import subprocess
import sys
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


def test_programs_of_less_than_a_second_are_kept_for_later_processes(tmp_path):
    script = "from mscn_flax import devices; devices.choose(); import jax; jax.jit(lambda x: x + 1)(1.0)"
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_COMPIL", "JAX_PERSIST"))}
    subprocess.run([sys.executable, "-c", script], env=mine | {"XDG_CACHE_HOME": str(tmp_path)}, check=True)
    (folder,) = (tmp_path / "mscn_flax").glob("compiled-*")
    assert any(folder.iterdir())
