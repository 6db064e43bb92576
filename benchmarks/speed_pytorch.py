"""Times a meta-step, encoding and decoding written with PyTorch's `torch.func`, and prints a line of JSON for each case.

What a user of the other framework would write: the same networks, codes and losses as "plain" in
`benchmarks.speed_process`, eager, all cores, the whole batch in one vmap. See `benchmarks.speed`.
"""

import functools
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.engine import device_name
from benchmarks.speed_process import TASKS, flops
from mscn_flax.budget import BudgetController
from mscn_flax.modalities import IMAGES
from mscn_flax.siren import Siren

VARIANT = "pytorch"


def installed() -> bool:
    """Whether PyTorch is here (`requirements-peers.txt`)."""
    return importlib.util.find_spec("torch") is not None


def main(cases: list[dict]) -> None:
    """Measures one case after the other."""
    for settings in cases:
        print(json.dumps(measured(settings)), flush=True)


def measured(settings: dict) -> dict:
    """What `benchmarks.speed` wants to know of a case; on a GPU where PyTorch has one."""
    import torch

    # Products in float32 also on a GPU that has TF32.
    torch.set_float32_matmul_precision("highest")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    programs = prepared(settings, device)
    tasks = {}
    for task in settings.get("tasks", TASKS):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        seconds = _seconds(programs[task], settings["repeats"], device)
        # The CPU's allocator does not say what was in use at most.
        peak = torch.cuda.max_memory_allocated() - before if device.type == "cuda" else ""
        tasks[task] = {"seconds": seconds, "compile_s": 0.0, "temp_bytes": peak, "tile": "none"}
        tasks[task]["flops"] = flops(settings)[task]
    rows = settings["batch"] * settings["resolution"] ** 2
    a, b = (torch.rand(*shape, device=device) for shape in ((rows, settings["width"]), (settings["width"],) * 2))
    product_s = statistics.median(_seconds(lambda: a @ b, 200, device))
    c, d = (torch.ones(1 << 26, device=device) for _ in range(2))
    add_s = statistics.median(_seconds(lambda: c + d, 10, device))
    # As the other processes name it; on a GPU JAX would take memory of it only to be asked.
    where = f"1 x gpu ({torch.cuda.get_device_name()})" if device.type == "cuda" else device_name()
    return {
        "tasks": tasks,
        "matmul_gflop_per_s": 2 * rows * settings["width"] ** 2 / product_s / 1e9,
        "memory_gb_per_s": 3 * c.nbytes / add_s / 1e9,
        "chunk_size": settings["batch"],
        "devices": 1,
        "device": where,
    }


def prepared(settings: dict, device: "torch.device") -> dict[str, Callable]:  # noqa: F821
    """Task -> a function that does it once, of random parameters, images and gates."""
    import torch

    generator = torch.Generator().manual_seed(0)
    batch, side, width, depth = (settings[name] for name in ("batch", "resolution", "width", "depth"))
    layers = depth - 1
    shape = {"functa": (settings["budget"],), "mscn": (layers, width), "delta": None}[settings["code"]]

    def uniform(*shape, bound=1.0):
        return ((2 * torch.rand(*shape, generator=generator) - 1) * bound).to(device)

    w0, sizes = Siren().w0, [2] + [width] * layers + [3]
    theta = {}
    for i, (fan_in, out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        theta[f"kernel_{i}"] = uniform(fan_in, out, bound=(6 / fan_in) ** 0.5 / w0 if i else 1 / fan_in)
        theta[f"bias_{i}"] = uniform(out, bound=0.0)
    if settings["code"] == "functa":
        theta["map"] = uniform(settings["budget"], layers * width, bound=settings["budget"] ** -0.5)
        theta["map_bias"] = uniform(layers * width, bound=0.0)
    zeros = torch.zeros(shape, device=device) if shape else {name: torch.zeros_like(p) for name, p in theta.items()}
    each = torch.utils._pytree.tree_map
    inner_lr = each(lambda a: torch.full_like(a, 0.05), zeros)
    gated_by = {} if settings["code"] == "functa" else {"log_alpha": each(torch.zeros_like, zeros)}
    coords = torch.tensor(IMAGES.all_coordinates(side), dtype=torch.float32, device=device)
    targets = ((uniform(batch, side * side, 3) + 1) / 2).contiguous()
    learned = {"theta": theta, "inner_lr": inner_lr} | gated_by
    gates = BudgetController(budget=settings["budget"]).hard_concrete
    penalty = 1e-3

    def render(theta, code):
        theta, shifts = (theta, code) if shape else (each(torch.add, theta, code), None)
        if settings["code"] == "functa":
            shifts = (code @ theta["map"] + theta["map_bias"]).reshape(layers, width)
        h = coords
        for i in range(layers):
            pre = h @ theta[f"kernel_{i}"] + theta[f"bias_{i}"]
            h = torch.sin(w0 * (pre if shifts is None else pre + shifts[i]))
        return h @ theta[f"kernel_{layers}"] + theta[f"bias_{layers}"] + 0.5

    def gated(z, code):
        return code if z is None else each(torch.mul, z, code)

    def fitted(learned, z, target):
        def loss(code):
            return torch.mean((render(learned["theta"], gated(z, code)) - target) ** 2)

        code = zeros
        for _ in range(settings["inner_steps"]):
            code = each(lambda c, lr, g: c - lr * g, code, learned["inner_lr"], torch.func.grad(loss)(code))
        return code, loss

    def sampled(log_alpha, noise):
        s = torch.sigmoid((torch.log(noise) - torch.log1p(-noise) + log_alpha) / gates.beta)
        return torch.clamp(s * (gates.zeta - gates.gamma) + gates.gamma, 0, 1)

    def signal_loss(learned, noise, target):
        z = None if noise is None else each(sampled, learned["log_alpha"], noise)
        code, loss = fitted(learned, z, target)
        return loss(code)

    def batch_loss(learned, noise):
        loss = torch.vmap(signal_loss, (None, None if noise is None else 0, 0))(learned, noise, targets).mean()
        if noise is None:
            return loss
        shift = gates.beta * torch.log(torch.tensor(-gates.gamma / gates.zeta, device=device))
        leaves = torch.utils._pytree.tree_leaves(learned["log_alpha"])
        return loss + penalty * sum(torch.sigmoid(leaf - shift).sum() for leaf in leaves)

    def draw():
        noise = (lambda a: torch.rand(batch, *a.shape, device=device).clamp(1e-6, 1 - 1e-6)) if gated_by else None
        return noise and each(noise, zeros)

    mask = each(torch.ones_like, zeros) if gated_by else None
    codes = each(lambda a: torch.zeros(batch, *a.shape, device=device), zeros)
    encode = torch.no_grad()(torch.vmap(lambda target: gated(mask, fitted(learned, mask, target)[0])))
    decode = torch.no_grad()(torch.vmap(functools.partial(render, theta)))
    return {
        "meta_step": lambda: torch.func.grad_and_value(batch_loss)(learned, draw()),
        "encode": lambda: encode(targets),
        "decode": lambda: decode(codes),
    }


def _seconds(run: Callable, repeats: int, device) -> list[float]:
    """Seconds of each of `repeats` runs, after two to warm up."""
    import torch

    seconds = []
    for repeat in range(repeats + 2):
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if repeat >= 2:
            seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
