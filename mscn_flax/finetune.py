"""Fitting codes by Adam from the meta-learned start: MetaSparseINR's second regime of evaluation, 100 steps.

Its baselines MAML+OneShot and MAML+IMP prune on the way: the former once, half-way; the latter removes a fifth of the
surviving weights at evenly spaced steps, as often as the budget requires.
"""

import dataclasses
from collections.abc import Sequence

import gin
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from mscn_flax import metrics, over_signals
from mscn_flax.gates import GateState
from mscn_flax.learner import MetaLearner, Theta
from mscn_flax.prune import prune
from mscn_flax.sparsity import UnstructuredGates


@gin.configurable
@dataclasses.dataclass(frozen=True)
class AdamFit:
    """Adam on the code of one signal.

    Attributes:
      learning_rate: constant learning rate.
      steps: number of steps.
    """

    learning_rate: float = 1e-4
    steps: int = 100

    def schedule(self, weights: Sequence[int]) -> Int[np.ndarray, " steps"]:
        """Number of weights to prune to before each step, -1 for no pruning.

        `weights` are the numbers that are left after each pruning. The prunings are evenly spaced: a single one is
        half-way.

        >>> AdamFit(steps=6).schedule([80, 64]).tolist()
        [-1, -1, 80, -1, 64, -1]
        """
        keep = np.full(self.steps, -1, np.int32)
        for index, count in enumerate(weights, start=1):
            keep[self.steps * index // (len(weights) + 1)] = count
        return keep

    def encode(
        self,
        learner: MetaLearner,
        theta: Theta,
        gates: GateState | None,
        coords: Float[Array, "N d"],
        targets: Float[Array, "B N c"],
        keep: Int[Array, " steps"] | Int[np.ndarray, " steps"] | None = None,
        *,
        mesh: Mesh,
        chunk_size: int,
    ) -> Float[Array, "B *code"]:
        """Fits the gated codes of B signals, like `over_signals.encode`, which takes a few inner steps. To be jitted.

        Adam moves what the inner loop moves: everything, or with gated updates what the mask leaves open.

        Args:
          learner: field and form.
          theta: what the outer loop has learned.
          gates: state of the gates, of which the mask is used; None for a method without gates.
          coords: coordinates shared by all signals.
          targets: values of the signals there.
          keep: see `schedule`; weights are pruned by the magnitude of theta0 + delta, biases never. None prunes
            nothing.
          mesh: devices that the signals are divided over.
          chunk_size: number of signals that a device works on at a time.

        Raises:
          ValueError: for adapted gates, or if other gates than `UnstructuredGates` are to be pruned.
        """
        if learner.adapt_gates:
            raise ValueError("AdamFit cannot adapt gates; evaluate with the inner loop alone")
        if keep is not None and not isinstance(learner.form, UnstructuredGates):
            raise ValueError(f"AdamFit prunes with UnstructuredGates alone, this learner has {learner.form}")
        optimizer = optax.adam(self.learning_rate)

        def fit(shared, target):
            theta, gates, coords, keep = shared
            params = theta["field"]
            start = jnp.zeros(learner.field.code_shape)
            mask = jnp.ones(learner.field.code_shape, bool) if gates is None else gates.mask

            def code(adapted, mask):
                if gates is None:
                    return adapted
                return learner.form.code(learner.field, params, adapted, mask.astype(adapted.dtype))

            def loss(adapted, mask):
                return metrics.mse(learner.render(theta, code(adapted, mask), coords), target)

            def step(carry, keep):
                adapted, mask, state = carry

                def pruned():
                    magnitude = jnp.abs(learner.field.flat(params) + adapted)
                    return prune(mask, magnitude, jnp.asarray(learner.field.is_weight), keep)

                if keep is not None:
                    mask = jax.lax.cond(keep >= 0, pruned, lambda: mask)
                gradient = jax.grad(loss)(adapted, mask)
                with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer step counts.
                    updates, state = optimizer.update(gradient, state)
                if gates is not None:
                    updates = learner.form.gate_update(updates, mask.astype(updates.dtype))
                return (adapted + updates, mask, state), None

            (adapted, mask, _), _ = jax.lax.scan(step, (start, mask, optimizer.init(start)), keep, length=self.steps)
            return code(adapted, mask)

        return over_signals.map_signals(fit, (theta, gates, coords, keep), targets, mesh=mesh, chunk_size=chunk_size)
