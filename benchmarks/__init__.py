"""One module a paper object, and what runs, records and draws them. See `python -m benchmarks`."""

from mscn_flax import garbage

garbage.collect_seldom()  # Before JAX is imported, in every process of these programs.
