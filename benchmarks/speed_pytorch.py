"""Times a meta-step, encoding and decoding in PyTorch, with `torch.func`; prints a line of JSON for each case.

What a user of the other framework would write: the same networks, codes and losses as "plain" in
`benchmarks.speed_process`, from the same numbers, eager, on all cores, the whole batch in one vmap, with the
launcher's settings of the allocator. (Batched by hand and with `torch.autograd` a meta-step takes as long.)
See `benchmarks.speed`.
"""

import functools
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable

import jax
import numpy as np

from benchmarks import speed_process
from mscn_flax.siren import base_siren

VARIANT = "pytorch"


def installed() -> bool:
    """Whether PyTorch is here (`requirements-peers.txt`)."""
    return importlib.util.find_spec("torch") is not None


def main(cases: list[dict]) -> None:
    """Measures one case after the other, on a GPU where PyTorch has one."""
    # JAX draws the numbers to start from, and no more: it shall take no memory of a GPU.
    jax.config.update("jax_platforms", "cpu")
    for settings in cases:
        print(json.dumps(_measured(settings)), flush=True)


def _measured(settings: dict) -> dict:
    """What `benchmarks.speed` wants to know of a case."""
    import torch

    # Products in float32 also on a GPU that has TF32.
    torch.set_float32_matmul_precision("highest")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    programs, tasks = prepared(settings, device), {}

    def seconds(run, repeats):
        wait = torch.cuda.synchronize if on_gpu else lambda: None
        return speed_process.seconds(lambda: (run(), wait()), repeats)

    for task in settings.get("tasks", speed_process.TASKS):
        # The CPU's allocator does not say what was in use at most.
        peak = ""
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        timed = seconds(programs[task], settings["repeats"])
        if on_gpu:
            peak = torch.cuda.max_memory_allocated() - before
        flops = speed_process.flops(settings)[task]
        tasks[task] = {"seconds": timed, "compile_s": 0.0, "temp_bytes": peak, "tile": "none", "flops": flops}
    rows, width = settings["batch"] * settings["resolution"] ** 2, settings["width"]
    a, b = torch.rand(rows, width, device=device), torch.rand(width, width, device=device)
    c, d = (torch.ones(1 << 26, device=device) for _ in range(2))
    multiply_s = statistics.median(seconds(lambda: a @ b, 200))
    add_s = statistics.median(seconds(lambda: c + d, 10))
    return {
        "tasks": tasks,
        "matmul_gflop_per_s": 2 * rows * width**2 / multiply_s / 1e9,
        "memory_gb_per_s": 3 * c.nbytes / add_s / 1e9,
        "chunk_size": settings["batch"],
        "devices": 1,
        "device": f"1 x gpu ({torch.cuda.get_device_name()})" if on_gpu else speed_process.device_name(),
    }


def prepared(settings: dict, device) -> dict[str, Callable]:
    """Task -> a function that does it once; the meta-step gives (gradients, loss)."""
    import torch

    learner, (theta, gates), _, coords, targets, codes = speed_process.inputs(settings)
    theta, coords, targets, codes = jax.tree.map(
        lambda array: torch.tensor(np.asarray(array), device=device), (theta, coords, targets, codes)
    )
    siren, hard_concrete = base_siren(learner.field), learner.controller and learner.controller.hard_concrete
    last = siren.depth - 1

    def values(network, shifts):
        h = coords
        for layer in range(last):
            affine = network[f"layer_{layer:02d}"]
            pre = h @ affine["kernel"] + affine["bias"]
            h = torch.sin(siren.w0 * (pre if shifts is None else pre + shifts[layer]))
        return h @ network["output"]["kernel"] + network["output"]["bias"] + siren.shift

    def render(theta, code):
        if settings["code"] == "delta":
            adapted = {name: dict(affine) for name, affine in theta["field"].items()}
            for part in learner.field.parts:
                affine = adapted["output" if part.layer == last else f"layer_{part.layer:02d}"]
                affine[part.kind] = affine[part.kind] + code[part.entries].reshape(part.shape)
            return values(adapted, None)
        if settings["code"] == "mscn":
            return values(theta["field"], code)
        to_shifts = theta["field"]["latent_to_modulations"]
        shifts = code @ to_shifts["kernel"] + to_shifts["bias"]
        return values(theta["field"]["siren"], shifts.reshape(siren.code_shape))

    def gated(z, code):
        return code if z is None else z * code

    def fitted(theta, z, target):
        def loss(code):
            return torch.mean((render(theta, gated(z, code)) - target) ** 2)

        inner_lr = theta["inner_lr"]["code"]
        code = torch.zeros_like(inner_lr)
        for _ in range(learner.inner_steps):
            code = code - inner_lr * torch.func.grad(loss)(code)
        return code, loss

    def sampled(log_alpha, noise):
        s = torch.sigmoid((torch.log(noise) - torch.log1p(-noise) + log_alpha) / hard_concrete.beta)
        return torch.clamp(s * (hard_concrete.zeta - hard_concrete.gamma) + hard_concrete.gamma, 0, 1)

    def signal_loss(theta, noise, target):
        z = None if gates is None else sampled(theta["log_alpha"], noise)
        code, loss = fitted(theta, z, target)
        return loss(code)

    def batch_loss(theta, noise):
        loss = torch.vmap(signal_loss, (None, None if gates is None else 0, 0))(theta, noise, targets).mean()
        if gates is None:
            return loss
        shift = hard_concrete.beta * hard_concrete.closed_below
        return loss + float(np.exp(gates.log_lambda)) * torch.sigmoid(theta["log_alpha"] - shift).sum()

    def noise():
        shape = None if gates is None else (settings["batch"], *theta["log_alpha"].shape)
        return shape and torch.rand(shape, device=device).clamp(1e-6, 1 - 1e-6)

    mask = None if gates is None else torch.ones_like(theta["log_alpha"])
    encode = torch.no_grad()(torch.vmap(lambda target: gated(mask, fitted(theta, mask, target)[0])))
    decode = torch.no_grad()(torch.vmap(functools.partial(render, theta)))
    return {
        "meta_step": lambda: torch.func.grad_and_value(batch_loss)(theta, noise()),
        "encode": lambda: encode(targets),
        "decode": lambda: decode(codes),
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
