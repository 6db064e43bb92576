"""Times sizes and variants of everything in `TASKS` and prints a line of JSON for each; see `benchmarks.speed`."""

import concurrent.futures
import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.engine import device_name
from mscn_flax import devices, memory, meta, metrics, over_signals
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES
from mscn_flax.siren import LatentModulatedSiren, Siren, product
from mscn_flax.tiles import divisor, tile_size

TASKS = ("meta_step", "encode", "decode")
"""What is timed: the gradient of a batch, its codes, its values from them."""

LIMITS = ("matmul_gflop_per_s", "memory_gb_per_s")
"""What the machine does at most."""


class _Program(NamedTuple):
    """One task of one size and variant, traced and ready to be compiled.

    Attributes:
      lowered: of JAX's stages.
      arguments: that it is to be run with.
    """

    lowered: jax.stages.Lowered
    arguments: tuple


class _Case(NamedTuple):
    """One size and variant.

    Attributes:
      settings: as `benchmarks.speed` makes them.
      programs: by task.
      chunk_size: signals that a device works on at a time.
      devices: how many of them.
    """

    settings: dict
    programs: dict[str, _Program]
    chunk_size: int
    devices: int


def main(cases: list[dict]) -> None:
    """Compiles everything, side by side, then measures one case after the other and prints a line of JSON for each."""
    plain = all(settings["variant"] == "plain" for settings in cases)
    first = cases[0]
    if "processes" in first:  # Of a core each.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[first["process"] % len(cores)]})
    if not plain:
        devices.choose()
    # As `devices.choose` sets it: an accelerator's own default is not float32.
    jax.config.update("jax_default_matmul_precision", "highest")
    if "coordinator" in first:
        devices.join(first["coordinator"], first["processes"], first["process"])
    # XLA compiles while the next case is traced, and several programs at a time where there are several cases.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() if len(cases) > 1 else 1) as pool:
        compiling = []
        for case in map(_prepare, cases):
            tasks = {task: pool.submit(_compiled, program) for task, program in case.programs.items()}
            compiling.append((case, tasks))
        done = [(case, {task: future.result() for task, future in tasks.items()}) for case, tasks in compiling]
    for case, compiled in done:
        print(json.dumps(_measured(case, compiled)), flush=True)


def inputs(settings: dict) -> tuple:
    """The learner of a case and its start: (theta, gates), keys, coordinates, random images, random codes."""
    side, batch = settings["resolution"], settings["batch"]
    coords = jnp.asarray(IMAGES.all_coordinates(side))
    targets = jax.random.uniform(jax.random.key(1), (batch, side * side, 3))
    learner = _learner(settings)
    state = (learner.init(jax.random.key(0), coords), learner.init_gates())
    codes = 0.1 * jax.random.normal(jax.random.key(3), (batch, *learner.field.code_shape))
    return learner, state, jax.random.split(jax.random.key(2), batch), coords, targets, codes


def _prepare(settings: dict) -> _Case:
    """Arguments and programs of a case."""
    plain = settings["variant"] == "plain"
    side, batch = settings["resolution"], settings["batch"]
    learner, state, keys, coords, targets, codes = inputs(settings)
    mesh = Mesh(np.array(jax.devices()[: divisor(jax.device_count(), batch)]), (over_signals.SIGNALS,))
    at_a_time = memory.signals_at_a_time(settings["chunk_size"], learner.field, side * side)
    chunk_size = batch if plain else divisor(at_a_time, batch // mesh.size)
    if not plain:
        each, shared = NamedSharding(mesh, PartitionSpec(over_signals.SIGNALS)), NamedSharding(mesh, PartitionSpec())
        state, coords = jax.tree.map(lambda array: devices.placed(np.asarray(array), shared), (state, coords))
        targets, codes = devices.placed(np.asarray(targets), each), devices.placed(np.asarray(codes), each)
        keys = jax.random.wrap_key_data(devices.placed(np.asarray(jax.random.key_data(keys)), each))
    fns = _plain(learner) if plain else _ours(learner, mesh, chunk_size)
    arguments = {
        "meta_step": (*state, keys, coords, targets),
        "encode": (*state, coords, targets),
        "decode": (state[0], coords, codes),
    }
    programs = {
        task: _Program(jax.jit(fns[task]).lower(*arguments[task]), arguments[task])
        for task in settings.get("tasks", TASKS)
    }
    return _Case(settings, programs, chunk_size, 1 if plain else mesh.size)


def _compiled(program: _Program) -> tuple[jax.stages.Compiled, float]:
    """The compiled program, and the seconds that it took."""
    began = time.perf_counter()
    return program.lowered.compile(), time.perf_counter() - began


def _measured(case: _Case, compiled: dict[str, tuple[jax.stages.Compiled, float]]) -> dict:
    """What `benchmarks.speed` wants to know of a case."""
    settings, tasks = case.settings, {}
    for task, (program, compile_s) in compiled.items():
        run = functools.partial(program, *case.programs[task].arguments)
        tasks[task] = {
            "seconds": seconds(run, settings["repeats"]),
            "compile_s": compile_s,
            "temp_bytes": program.memory_analysis().temp_size_in_bytes * case.devices,
            "tile": "none" if settings["variant"] == "plain" or task == "decode" else _tile(settings),
            "flops": flops(settings)[task],
        }
    rows = settings["batch"] * settings["resolution"] ** 2
    return {
        "tasks": tasks,
        "matmul_gflop_per_s": _matmul_rate(rows, settings["width"], _precision(settings)) / 1e9,
        "memory_gb_per_s": _memory_rate() / 1e9,
        "chunk_size": case.chunk_size,
        "devices": case.devices,
        "device": device_name(),
    }


def _precision(settings: dict) -> str:
    """Of the products between hidden layers."""
    return settings.get("precision", "float32")


def _tile(settings: dict) -> int | str:
    """Points at a time; "none" where that is all of them."""
    points = settings["resolution"] ** 2
    size = tile_size(settings.get("tile"), points)
    return "none" if size == points else size


def flops(settings: dict) -> dict[str, int]:
    """Task -> FLOPs of the fewest matrix products that do it, for a batch."""
    forward = metrics.siren_flops(settings["resolution"] ** 2, 2, settings["width"], settings["depth"], 3)
    products = 3 if settings["code"] == "delta" else 2
    of_one = {
        "meta_step": metrics.meta_step_flops(forward, settings["inner_steps"], products=products),
        "encode": forward * settings["inner_steps"] * products,
        "decode": forward,
    }
    return {task: settings["batch"] * of_one[task] for task in TASKS}


def _learner(settings: dict) -> MetaLearner:
    siren = Siren(
        depth=settings["depth"], width=settings["width"], sine=settings["sine"], matmul_dtype=_precision(settings)
    )
    if settings["code"] == "functa":
        field, controller = LatentModulatedSiren(siren=siren, latent_dim=settings["budget"]), None
    else:
        field = DeltaSiren(siren) if settings["code"] == "delta" else siren
        controller = BudgetController(budget=settings["budget"])
    tile = settings.get("tile")
    return MetaLearner(field=field, controller=controller, inner_steps=settings["inner_steps"], tile=tile)


def _ours(learner: MetaLearner, mesh: Mesh, chunk_size: int) -> dict[str, Callable]:
    """Task -> this project's function for it."""
    return {
        task: functools.partial(fn, learner, mesh=mesh, chunk_size=chunk_size)
        for task, fn in zip(TASKS, (meta.meta_gradient, over_signals.encode, over_signals.decode), strict=True)
    }


def _plain(learner: MetaLearner) -> dict[str, Callable]:
    """Task -> the same, written without any economies."""

    def fitted(theta, z, coords, target):
        def loss(code):
            return metrics.mse(learner.render(theta, z * code, coords), target)

        code = jnp.zeros(learner.field.code_shape)
        for _ in range(learner.inner_steps):
            code = code - theta["inner_lr"]["code"] * jax.grad(loss)(code)
        return code, loss

    def signal_loss(theta, gates, key, coords, target):
        z = 1.0
        if gates is not None:
            z = learner.controller.hard_concrete.sample(key, theta["log_alpha"])
        code, loss = fitted(theta, z, coords, target)
        return loss(code)

    def batch_loss(theta, gates, keys, coords, targets):
        losses = jax.vmap(signal_loss, (None, None, 0, None, 0))(theta, gates, keys, coords, targets)
        penalty = 0.0
        if gates is not None:
            penalty = jnp.exp(gates.log_lambda) * learner.controller.hard_concrete.expected_l0(theta["log_alpha"])
        return jnp.mean(losses) + penalty

    def encode(theta, gates, coords, targets):
        z = 1.0 if gates is None else gates.mask.astype(jnp.float32)
        return jax.vmap(lambda target: z * fitted(theta, z, coords, target)[0])(targets)

    def decode(theta, coords, codes):
        return jax.vmap(lambda code: learner.render(theta, code, coords))(codes)

    return {"meta_step": jax.value_and_grad(batch_loss), "encode": encode, "decode": decode}


def seconds(run: Callable, repeats: int) -> list[float]:
    """Seconds of each of `repeats` runs, after two to warm up."""
    found = []
    for repeat in range(repeats + 2):
        began = time.perf_counter()
        jax.block_until_ready(run())
        if repeat >= 2:
            found.append(time.perf_counter() - began)
    return found


@functools.cache
def _matmul_rate(rows: int, width: int, precision: str) -> float:
    """FLOP/s of [rows, width] x [width, width], all cores: the median of ten runs of twenty products."""
    a = jax.random.normal(jax.random.key(0), (rows, width))
    b = jax.random.normal(jax.random.key(1), (width, width)) / width**0.5
    mesh = Mesh(np.array(jax.local_devices()), ("rows",))
    if rows % mesh.size == 0:
        a = jax.device_put(a, NamedSharding(mesh, PartitionSpec("rows")))
        b = jax.device_put(b, NamedSharding(mesh, PartitionSpec()))
    products = jax.jit(lambda a, b: jax.lax.fori_loop(0, 20, lambda _, a: product(a, b, precision), a))
    return 20 * 2 * rows * width**2 / statistics.median(seconds(lambda: products(a, b), 10))


@functools.cache
def _memory_rate() -> float:
    """Bytes/s that all cores read and write while they add two arrays larger than any cache."""
    mesh = Mesh(np.array(jax.local_devices()), ("rows",))
    shape, rows = (mesh.size * -(-64 // mesh.size), 1 << 20), NamedSharding(mesh, PartitionSpec("rows"))
    a, b = (jax.device_put(jnp.full(shape, value), rows) for value in (1.0, 2.0))
    add = jax.jit(jnp.add)
    return 3 * a.nbytes / statistics.median(seconds(lambda: add(a, b), 10))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
