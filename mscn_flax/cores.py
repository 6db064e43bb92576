"""The cores of this machine that a process may use. Imports no JAX."""

import os


def available() -> list[int]:
    """The numbers of these cores, ascending; where the system does not say which they are, of all that it has."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
