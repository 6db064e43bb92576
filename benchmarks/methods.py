"""The methods that benchmarks compare, by name; one's own are registered from a file outside of the repository."""

import dataclasses
import math
from collections.abc import Callable

import flax.linen as nn
import gin

from benchmarks.looks import Look
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.siren import LatentModulatedSiren, Siren, base_siren
from mscn_flax.sparsity import MapGates

Field = nn.Module | DeltaSiren


@dataclasses.dataclass(frozen=True)
class Method:
    """What makes a method, for a base network and a budget of numbers per signal.

    Attributes:
      field: (base network, budget) -> what maps coordinates and a code to values. The base network is a `Siren` in
        Table 1 and in figure 7, a `DeltaSiren` in figure 2.
      learner: (field, budget) -> the learner.
      unit: what a number of the code is called: modulations or latents.
      serves_all: whether one training serves all budgets, with the one that the job asks for at test time.
      look: name and style in figures and tables, for a method from outside the repository.
    """

    field: Callable[[Siren | DeltaSiren, int], Field]
    learner: Callable[[Field, int], MetaLearner]
    unit: str = "modulations"
    serves_all: bool = False
    look: Look | None = None


METHODS: dict[str, Method] = {}
"""`method` column -> the method; a gin scope of its name configures it."""


def register(name: str, method: Method) -> None:
    """Makes a method known to the benchmarks.

    Raises:
      ValueError: for a name that is taken by another method, or that gin could not have as a scope.
    """
    if METHODS.get(name, method) != method:
        raise ValueError(f"there is a method {name!r} already; choose another name")
    if not name.isidentifier():
        raise ValueError(f"a method's name is a gin scope: letters, digits and underscores, not {name!r}")
    METHODS[name] = method


def _latents(siren: Siren, budget: int) -> LatentModulatedSiren:
    return LatentModulatedSiren(siren=siren, latent_dim=budget)


def _coin_pp_latents(siren: Siren, budget: int) -> LatentModulatedSiren:
    return LatentModulatedSiren(siren=siren, latent_dim=budget, uniform_map=True)


def _base(siren: Siren | DeltaSiren, budget: int) -> Siren | DeltaSiren:
    del budget
    return siren


def _dense(field: Field, budget: int) -> MetaLearner:
    del budget
    return MetaLearner(field=field)


def _gated(field: Field, budget: int) -> MetaLearner:
    return MetaLearner(field=field, controller=BudgetController(budget=budget))


def _nested(field: Field, budget: int) -> MetaLearner:
    controller = BudgetController()
    if budget not in controller.nested:
        raise ValueError(f"mscn_nested has no budget of {budget}, BudgetController.nested is {controller.nested}")
    return MetaLearner(field=field, controller=dataclasses.replace(controller, budget=max(controller.nested)))


@gin.configurable("sparse_latents", allowlist=["kept"])
def _sparse_latents(field: Field, budget: int, kept: int | None = None) -> MetaLearner:
    """Latents from which only some modulations are reconstructed.

    Args:
      field: a latent vector's.
      budget: size of the latent vector.
      kept: number of modulations that are reconstructed; None for twice the budget: with fewer than the budget the map
        would lose numbers of the latent vector. All of them where the network has no more.
    """
    gates = math.prod(base_siren(field).code_shape)
    controller = BudgetController(budget=min(2 * budget if kept is None else kept, gates))
    return MetaLearner(field=field, controller=controller, form=MapGates())


register("functa", Method(_latents, _dense, unit="latents"))
register("mscn", Method(_base, _gated))
register("mscn_nested", Method(_base, _nested, serves_all=True))
register("coin_pp", Method(_coin_pp_latents, _dense, unit="latents"))
register("sparse_latents", Method(_latents, _sparse_latents, unit="latents"))
