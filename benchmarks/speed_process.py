"""Times one variant of the meta-step in this process and prints one JSON object; started by `benchmarks.speed`."""

import json
import os
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks import runner
from mscn_flax import devices, meta, metrics, signals
from mscn_flax.budget import BudgetController
from mscn_flax.learner import MetaLearner
from mscn_flax.siren import LatentModulatedSiren, Siren


def main(settings: dict) -> None:
    """Measures; `settings` as `benchmarks.speed` makes them."""
    plain = settings["variant"] == "plain"
    if "processes" in settings:  # Of a core each.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[settings["process"] % len(cores)]})
    if not plain:
        devices.choose()
    if "coordinator" in settings:
        devices.join(settings["coordinator"], settings["processes"], settings["process"])
    side, batch = settings["resolution"], settings["batch"]
    coords = jnp.asarray(signals.grid_coordinates((side, side)))
    targets = jax.random.uniform(jax.random.key(1), (batch, side * side, 3))
    learner = _learner(settings)
    state = (learner.init(jax.random.key(0), coords), learner.init_gates())
    keys = jax.random.split(jax.random.key(2), batch)
    mesh = runner.devices_for(batch)
    chunk_size = batch if plain else runner.chunk(settings["chunk_size"], batch // mesh.size)
    if plain:
        step = _plain_gradient(learner)
    else:
        each, shared = NamedSharding(mesh, PartitionSpec(meta.SIGNALS)), NamedSharding(mesh, PartitionSpec())
        state, coords = jax.tree.map(lambda array: devices.placed(np.asarray(array), shared), (state, coords))
        targets = devices.placed(np.asarray(targets), each)
        keys = jax.random.wrap_key_data(devices.placed(np.asarray(jax.random.key_data(keys)), each))

        def step(theta, gates, keys, coords, targets):
            return meta.meta_gradient(learner, theta, gates, keys, coords, targets, mesh=mesh, chunk_size=chunk_size)

    began = time.perf_counter()
    compiled = jax.jit(step).lower(*state, keys, coords, targets).compile()
    compile_s = time.perf_counter() - began
    seconds = _seconds(lambda: compiled(*state, keys, coords, targets), settings["repeats"])
    count = 1 if plain else mesh.size
    forward = metrics.siren_flops(side * side, 2, settings["width"], settings["depth"], 3)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "compile_s": compile_s,
                "temp_bytes": compiled.memory_analysis().temp_size_in_bytes * count,
                "flops": batch * metrics.meta_step_flops(forward, settings["inner_steps"]),
                "matmul_flops_per_s": _matmul_rate(batch * side * side, settings["width"]),
                "chunk_size": chunk_size,
                "devices": count,
                "device": runner.device_name(),
            }
        )
    )


def _learner(settings: dict) -> MetaLearner:
    siren = Siren(depth=settings["depth"], width=settings["width"], sine=settings["sine"])
    if settings["code"] == "functa":
        field, controller = LatentModulatedSiren(siren=siren, latent_dim=settings["budget"]), None
    else:
        field, controller = siren, BudgetController(budget=settings["budget"])
    return MetaLearner(field=field, controller=controller, inner_steps=settings["inner_steps"])


def _plain_gradient(learner: MetaLearner):
    """The same gradient as `meta.meta_gradient`, written without any of its economies."""

    def signal_loss(theta, gates, key, coords, target):
        z = 1.0
        if gates is not None:
            z = learner.hard_concrete.sample(key, theta["log_alpha"])

        def loss(code):
            return metrics.mse(learner.render(theta, z * code, coords), target)

        code = jnp.zeros(learner.field.code_shape)
        for _ in range(learner.inner_steps):
            code = code - theta["inner_lr"]["code"] * jax.grad(loss)(code)
        return loss(code)

    def batch_loss(theta, gates, keys, coords, targets):
        losses = jax.vmap(signal_loss, (None, None, 0, None, 0))(theta, gates, keys, coords, targets)
        penalty = 0.0
        if gates is not None:
            penalty = jnp.exp(gates.log_lambda) * learner.hard_concrete.expected_l0(theta["log_alpha"])
        return jnp.mean(losses) + penalty

    return jax.value_and_grad(batch_loss)


def _seconds(run, repeats: int) -> list[float]:
    """Seconds of each of `repeats` runs, after two to warm up."""
    seconds = []
    for repeat in range(repeats + 2):
        began = time.perf_counter()
        jax.block_until_ready(run())
        if repeat >= 2:
            seconds.append(time.perf_counter() - began)
    return seconds


def _matmul_rate(rows: int, width: int) -> float:
    """FLOP/s of [rows, width] x [width, width] in float32, all cores: the median of ten runs of twenty products."""
    a = jax.random.normal(jax.random.key(0), (rows, width))
    b = jax.random.normal(jax.random.key(1), (width, width)) / width**0.5
    mesh = Mesh(np.array(jax.local_devices()), ("rows",))
    if rows % mesh.size == 0:
        a = jax.device_put(a, NamedSharding(mesh, PartitionSpec("rows")))
        b = jax.device_put(b, NamedSharding(mesh, PartitionSpec()))
    products = jax.jit(lambda a, b: jax.lax.fori_loop(0, 20, lambda _, a: a @ b, a))
    return 20 * 2 * rows * width**2 / statistics.median(_seconds(lambda: products(a, b), 10))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
