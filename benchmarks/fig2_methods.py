"""The methods of figure 2, by name: what each learns, and what its budget counts.

What a budget counts is not the same for all methods, because what they store for a signal is not: see `METHODS`.
"""

import dataclasses
from collections.abc import Callable

from benchmarks import methods
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.prune import PruningRounds, narrow, siren_weights, surviving
from mscn_flax.siren import Siren
from mscn_flax.sparsity import GradientGates, UnstructuredGates


@dataclasses.dataclass(frozen=True)
class Method:
    """What makes a method.

    Attributes:
      learner: function of (network, pruning round k, outer steps of the dense network).
      gated: its gates are learned: the budget is of delta's weights and biases together.
      trained: whether it is trained at all.
      two_steps: whether it has an inner loop of its own.
      pruned: function of (weights, k): see `fig2_unstructured.Evaluation`.
      shares_training: name under which several budgets or methods share one training, whose schedules refer to the
        steps of the dense network; None for each its own, whose schedules refer to all its steps.
    """

    learner: Callable[[Siren, int, int], MetaLearner]
    gated: bool = False
    trained: bool = True
    two_steps: bool = True
    pruned: Callable[[int, int], tuple[int, ...]] = lambda weights, k: ()
    shares_training: str | None = None


def _gated(form, *, meta_sgd: bool) -> Callable[[Siren, int, int], MetaLearner]:
    def learner(siren, k, outer_steps):
        del outer_steps
        budget = BudgetController(budget=surviving(siren_weights(siren), k))
        return MetaLearner(field=DeltaSiren(siren), controller=budget, form=form, meta_sgd=meta_sgd)

    return learner


def _pruned(criterion: str, rounds: int | None = None) -> Callable[[Siren, int, int], MetaLearner]:
    def learner(siren, k, outer_steps):
        del k
        chosen = {} if rounds is None else {"rounds": rounds}
        controller = PruningRounds(criterion=criterion, dense_steps=outer_steps, **chosen)
        return MetaLearner(field=DeltaSiren(siren), controller=controller, form=UnstructuredGates())

    return learner


def _narrow(siren: Siren, k: int, outer_steps: int) -> MetaLearner:
    del outer_steps
    field = DeltaSiren(narrow(siren, 0.8**k))
    return MetaLearner(field=field, form=UnstructuredGates())


_dense = _pruned("magnitude", rounds=0)

METHODS = {
    # Budget: non-zeros of delta, weights and biases together, as many as the baselines' weights. theta0 is dense.
    "mscn_meta_sgd": Method(_gated(GradientGates(), meta_sgd=True), gated=True),
    "mscn_fixed_lr": Method(_gated(GradientGates(), meta_sgd=False), gated=True),
    # Budget: non-zeros of theta0 + delta, weights and biases together.
    "mscn_sparse_final": Method(_gated(UnstructuredGates(), meta_sgd=True), gated=True),
    # Budget: weights of theta0 + delta, biases free, as MetaSparseINR's paper counts.
    "meta_sparse_inr": Method(_pruned("magnitude"), shares_training="meta_sparse_inr"),
    "random_pruning": Method(_pruned("random"), shares_training="random_pruning"),
    "dense_narrow": Method(_narrow),
    "maml_one_shot": Method(
        _dense, two_steps=False, pruned=lambda weights, k: (surviving(weights, k),), shares_training="maml"
    ),
    "maml_imp": Method(
        _dense,
        two_steps=False,
        pruned=lambda weights, k: tuple(surviving(weights, i) for i in range(1, k + 1)),
        shares_training="maml",
    ),
    "scratch": Method(_narrow, trained=False, two_steps=False),
}
"""`method` column -> the method; gin scope fig2/<method> configures it."""


def find(name: str) -> Method:
    """A method of `METHODS`, or a registered one (`methods.register`) on a network that is adapted whole.

    The budget of the latter is of weights and biases together.
    """
    if name in METHODS:
        return METHODS[name]
    other = methods.METHODS[name]

    def learner(siren, k, outer_steps):
        del outer_steps
        budget = surviving(siren_weights(siren), k)
        return other.learner(other.field(DeltaSiren(siren), budget), budget)

    return Method(learner, gated=True)
