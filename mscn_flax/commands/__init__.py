"""The commands of `python -m mscn_flax`, each a module with `add`, which says what its arguments are and what runs it.

Nothing that takes long is imported before a command runs.
"""
