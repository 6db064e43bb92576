"""A method from outside: dense inner steps, after which each signal keeps the largest entries of its own code.

`python -m benchmarks.table1_modulations --gin_file=examples/per_signal_top_n.gin` compares it with the others.
"""

import dataclasses

import jax.numpy as jnp

from benchmarks.looks import Look
from benchmarks.methods import Method, register
from mscn_flax.gates import top_n_mask
from mscn_flax.learner import MetaLearner


@dataclasses.dataclass(frozen=True)
class PerSignalTopN(MetaLearner):
    """Keeps the `kept` entries of largest magnitude; the outer gradient flows through these alone."""

    kept: int = 64

    shares_pattern = False

    def fit(self, *arguments, **options):
        """See `MetaLearner.fit`."""
        code, open_gates, losses = super().fit(*arguments, **options)
        return jnp.where(top_n_mask(jnp.abs(code), self.kept), code, 0), open_gates, losses


def _learner(field, budget: int) -> PerSignalTopN:
    # What gin binds for MetaLearner in the method's scope is meant for this learner.
    return PerSignalTopN(**vars(MetaLearner(field=field)), kept=budget)


look = Look(label="per-signal top-n", color="#7a0177", linestyle=":", marker="h")
register("per_signal_top_n", Method(lambda network, budget: network, _learner, look=look))
