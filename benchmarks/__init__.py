"""One module a paper object, and what runs, records and draws them. See `python -m benchmarks`."""
