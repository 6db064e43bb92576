"""Meta-learned sparse compression networks: the library. It computes; it opens no CSV, parses no flags, draws nothing.

Notation, once for every file:

    theta     what the outer loop learns: the field's parameters theta0, log_alpha (phi0), MetaSGD learning rates
    delta     what the inner loop learns for one signal (delta theta); gated, it is the signal's code
    phi       log_alpha, the parameter of the gates;  z in [0, 1], a gate;  m, modulations;  n, budget: gates left open
    alpha     the inner learning rate (beta in the paper's eq. 2, where beta is also the gates' temperature)
    N, d, c   points of a signal, coordinates per point, values per point
    B, b      signals per batch, per chunk
    K         inner steps
    L, w      modulated layers, units per layer

Data flow: array -> coords [N, d], targets [N, c] (`modalities`) -> code (`adapt` for one signal, `over_signals` for
many, gates from `gates`, counts from `budget`) -> values [N, c] (`siren`; of rays `rendering`) -> figures of quality
(`metrics`).
"""

import importlib

_EXPORTED = {
    "BudgetController": "budget",
    "Coder": "coder",
    "DeltaSiren": "delta",
    "LatentModulatedSiren": "siren",
    "MODALITIES": "modalities",
    "MetaLearner": "learner",
    "Model": "model",
    "OuterOptimizer": "outer",
    "Setup": "train",
    "Siren": "siren",
    "Training": "train",
    "decode": "codec",
    "encode": "codec",
    "load_model": "model",
    "train_model": "training",
}
"""Name -> module that has it; imported when first asked for, so that the plots need no JAX."""

__all__ = sorted(_EXPORTED)


def __getattr__(name: str):
    if name not in _EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(__all__)}")
    found = getattr(importlib.import_module(f"{__name__}.{_EXPORTED[name]}"), name)
    globals()[name] = found  # `train` is a module too, which importing it has put here.
    return found


def __dir__() -> list[str]:
    return __all__
