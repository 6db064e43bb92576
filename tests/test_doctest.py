"""The examples in docstrings."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["adapt", "finetune", "gates", "metrics", "prune", "quantize", "rendering", "sine", "tiles"]
)
def test_examples_give_what_they_say(name):
    failed, attempted = doctest.testmod(importlib.import_module(f"mscn_flax.{name}"))
    assert attempted
    assert not failed
