"""How often Python looks for garbage in cycles. Imports no JAX, so that a program can begin with it."""

import atexit
import gc


def collect_seldom() -> None:
    """Has Python look for it after a hundred times as many new objects as by default, and not when the program ends.

    Importing and tracing with JAX makes millions of objects that live on; looking them through takes a tenth of that
    time. For programs: a library leaves the decision to them.
    """
    gc.set_threshold(100_000, 10, 10)
    atexit.register(gc.freeze)
