"""What is kept, and how much is worked on at a time, follows from the memory that there is."""

import functools

import jax
import jax.numpy as jnp
from outer_steps import mesh

from mscn_flax import memory, meta
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.siren import Siren


def test_linearisations_are_kept_where_a_device_has_room(monkeypatch):
    field = Siren(depth=5, width=64)
    ask = functools.partial(memory.linearises, field, 1024, steps=3)
    assert ask(signals=1)
    # A linearisation has some five arrays [points, width] of each layer and step.
    bytes_of_one = 3 * 5 * 4 * 1024 * 64 * 4
    monkeypatch.setattr(memory, "available", lambda: int(10.5 * bytes_of_one / memory._SHARE))
    assert ask(signals=10)
    assert not ask(signals=11)


def test_a_cpu_works_on_what_its_caches_hold_and_a_gpu_on_what_its_memory_holds(monkeypatch):
    field = Siren(depth=5, width=64, out_dim=3)
    for task, cached in memory.CACHED.items():
        assert memory.signals_at_a_time(16, field, 4 * cached, task) == 1
        assert memory.signals_at_a_time(16, field, cached // 4, task) == 4
        assert memory.signals_at_a_time(2, field, cached // 4, task) == 2
    monkeypatch.setattr(memory, "available", lambda: int(8.5 * memory.signal_bytes(field, 1024) / memory._SHARE))
    assert memory.signals_at_a_time(None, field, 1024) == 8
    assert memory.signals_at_a_time(16, field, 1024) == 16


def test_memory_does_not_grow_with_points_in_tiles():
    learner = MetaLearner(field=Siren(depth=3, width=16), controller=BudgetController(budget=10), tile=64)

    def temporary(side):
        coords, targets = jnp.zeros((side * side, 2)), jnp.zeros((4, side * side, 3))
        state = (learner.init(jax.random.key(0), coords), learner.init_gates())
        step = functools.partial(meta.meta_gradient, learner, *state, mesh=mesh(), chunk_size=1)
        compiled = jax.jit(step).lower(jax.random.split(jax.random.key(6), 4), coords, targets).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # Of 4 x 12,288 more points of 2 coordinates and 3 values, once each.
    assert temporary(128) - temporary(64) <= 4 * 12288 * 5 * 4
