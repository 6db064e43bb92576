"""What names a configuration in the ids of runs: its choices as text, the files of one's own code, and a digest."""

import dataclasses
import functools
import hashlib
import pathlib
import sys
import types

import flax.linen as nn


def digests_of_own_code(*parts: object) -> tuple[str, ...]:
    """Eight hexadecimal digits for each file from outside these packages that a part, a function or not, is written in.

    Who changes a method or a data set of their own changes no configuration.
    """
    found = []
    for part in (getattr(part, "func", part) for part in parts):  # Of a partial function.
        module = sys.modules.get(getattr(part, "__module__", None) or "")
        file = getattr(module, "__file__", None)
        if callable(part) and file and module.__name__.partition(".")[0] not in ("benchmarks", "mscn_flax"):
            found.append(_digest_of_file(file, module))
    return tuple(dict.fromkeys(found))


@functools.cache
def _digest_of_file(file: str, module: types.ModuleType) -> str:
    """Of a module's file as it was when this was first asked: what has been imported stays, whatever is edited."""
    del module
    return hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()[:8]


def digest_of(decides: tuple) -> str:
    """Eight hexadecimal digits that name a configuration."""
    return hashlib.sha256(choices(decides).encode()).hexdigest()[:8]


def choices(value) -> str:
    """A configuration as text, without what stands at its default: a new option leaves it as it is."""
    if isinstance(value, tuple):
        return f"({', '.join(map(choices, value))})"
    if not dataclasses.is_dataclass(value):
        return _text(value)
    chosen = {}
    for field in dataclasses.fields(value):
        now = getattr(value, field.name)
        if isinstance(value, nn.Module) and field.name in ("name", "parent"):
            continue
        if field.default_factory is dataclasses.MISSING:
            default = now == field.default
        elif dataclasses.is_dataclass(now):
            # Not what the factory makes now: gin may have bound something for it.
            default = choices(now) == f"{field.default_factory.__name__}()"
        else:
            default = now == field.default_factory()
        if not default:
            # A renamed option goes by its first name, so that ids of runs stay as they are.
            chosen[field.metadata.get("id", field.name)] = choices(now)
    return f"{type(value).__name__}({', '.join(f'{name}={text}' for name, text in chosen.items())})"


def _text(value) -> str:
    """The value as Python writes it, a function by its name: its address is another one in every process."""
    if isinstance(value, functools.partial):
        return f"{choices(value.func)}{choices((*value.args, *sorted(value.keywords.items())))}"
    text = repr(value)
    if " at 0x" not in text:
        return text
    name = f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', '<')}"
    if "<" in name:
        raise ValueError(f"{text} cannot name a run, as it has no name of its own; give a function of a module")
    return name
