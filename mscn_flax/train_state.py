"""What training has reached: everything that a resumed run needs."""

import flax.struct
from jaxtyping import Array, Int, PyTree

from mscn_flax.gates import GateState
from mscn_flax.learner import Theta


class TrainState(flax.struct.PyTreeNode):
    """Everything that a resumed run needs; batches and random keys follow from `step` and the random seed.

    Attributes:
      step: number of outer steps taken.
      theta: what the outer loop has learned.
      gates: state of the learner's gates; None for a method without gates.
      opt_state: state of the outer optimiser.
    """

    step: Int[Array, ""]
    theta: Theta
    gates: GateState | None
    opt_state: PyTree
