"""Gin: one rule of scopes for everything that is configured, and errors that name what would have been right.

A job is built inside `scope(*names)`, for example `scope("table1", "cifar10", "mscn")`: benchmark, data set, method.
A binding applies to it where the binding's scope holds some of these names in this order: `Siren.width`,
`table1/Siren.width`, `cifar10/Siren.width`, `table1/mscn/Siren.width` and so on. Where several bind one parameter, the
one with the last name wins (a method's over a data set's, a data set's over the benchmark's); among those with the same
last name, the one with the next to last, and so on.
"""

import contextlib
import copy
import difflib
import inspect
import pathlib
import re
import sys
import tokenize
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import gin

_PACKAGE = pathlib.Path(__file__).resolve().parent
ROOT = _PACKAGE.parent if (_PACKAGE.parent / "gin" / "codec.gin").is_file() else _PACKAGE
"""Folder that holds `gin/`: the repository, or the installed package. Gin files are searched there, too."""


class Binding(NamedTuple):
    """One parameter of one configurable in one scope, as a gin file or a `--gin_param` names it."""

    scope: str
    selector: str
    parameter: str

    def __str__(self) -> str:
        name = gin.config._REGISTRY.minimal_selector(self.selector)
        return f"{self.scope}/{name}.{self.parameter}" if self.scope else f"{name}.{self.parameter}"


_bound: dict[Binding, object] = {}
"""What the files and the command line have bound."""

_asked: set[Binding] = set()
"""Those that the person has written: on the command line, and in gin files other than the project's."""

_origins: dict[Binding, Binding] = {}
"""Parameter in the full scope of a job -> the binding that it takes its value from."""

_scopes: set[str] = set()
"""Full scopes in which something has been built."""

_texts: dict[str, str] = {}
"""What is built, as Python writes it -> its gin text, which takes gin ten milliseconds and is that of all seeds."""


def parse(files: Sequence[str], parameters: Sequence[str]) -> None:
    """Parses gin files and then bindings, replacing what was parsed before, and locks the configuration.

    A gin file may import a module that lies beside it.

    Raises:
      ValueError: for a missing file or an unknown name, with the valid names.
    """
    gin.clear_config()
    _origins.clear()
    _scopes.clear()
    gin.add_config_file_search_path(str(ROOT))
    for file in files:
        if (folder := str(pathlib.Path(file).resolve().parent)) not in sys.path:
            sys.path.append(folder)
    for file in files:
        if not any(folder.is_file() for folder in (pathlib.Path(file), ROOT / file)):
            raise ValueError(f"there is no gin file {file}")
    try:
        gin.parse_config_files_and_bindings(list(files), list(parameters), skip_unknown=False, finalize_config=False)
        gin.finalize()
    except OSError as error:
        raise ValueError(f"cannot read a gin file: {error}") from error
    except (ValueError, SyntaxError, ImportError, tokenize.TokenError) as error:
        raise ValueError(_with_valid_names(str(error))) from error
    _bound.clear()
    _bound.update(_flat(gin.config._CONFIG))
    paths = [path for path in map(pathlib.Path, files) if path.is_file() and ROOT / "gin" not in path.resolve().parents]
    written = "\n".join([*parameters, *(path.read_text() for path in paths)])
    keys = set(re.findall(r"^([^\s=#]+)\s*=", written, re.MULTILINE))
    _asked.clear()
    _asked.update(binding for binding in _bound if str(binding) in keys)


def imported() -> list[str]:
    """Names of the modules that gin files import."""
    return sorted({statement.module for statement in gin.config._IMPORTS})


def _flat(config: dict) -> dict[Binding, object]:
    return {
        Binding(scope, selector, parameter): copy.copy(value)
        for (scope, selector), values in config.items()
        for parameter, value in values.items()
    }


@contextlib.contextmanager
def scope(*names: str) -> Iterator[None]:
    """Everything built inside is configured by the bindings that apply to these names, from general to particular."""
    full = "/".join(names)
    if full not in _scopes:
        _scopes.add(full)
        ranked = [(rank, b) for b in _bound if (rank := _rank(b.scope, names)) is not None]
        with gin.unlock_config():
            for _, binding in sorted(ranked, key=lambda pair: pair[0]):
                inside = binding._replace(scope=full)
                _origins[inside] = binding
                gin.bind_parameter(tuple(inside), _bound[binding])
    # A list replaces the scope that this one is entered in, a string would be appended to it.
    with gin.config_scope(list(names)):
        yield


def _rank(scope: str, names: Sequence[str]) -> int | None:
    """How particular a binding's scope is among those that apply to `names`; None where it does not apply."""
    rank, position = 0, 0
    for part in scope.split("/") if scope else []:
        if part not in names[position:]:
            return None
        position = names.index(part, position) + 1
        rank += 1 << position
    return rank


def bound(name: str, *names: str) -> object | None:
    """What `Configurable.parameter` is bound to inside `scope(*names)`, None without a binding; nothing is consumed."""
    with scope(*names):
        try:
            return gin.query_parameter("/".join([*names, name]))
        except ValueError:
            return None


def used(name: str, *names: str) -> object:
    """What `Configurable.parameter` was in the latest build inside `scope(*names)`, by binding or by default.

    Raises:
      ValueError: where nothing has been built there that has it.
    """
    configurable, _, parameter = name.rpartition(".")
    values = gin.config._OPERATIVE_CONFIG.get(("/".join(names), gin.config._REGISTRY.get_match(configurable).selector))
    if values is None or parameter not in values:
        raise ValueError(f"nothing inside {'/'.join(names)} has {name}")
    return values[parameter]


def operative(*scopes: str, also: Collection[tuple[str, str]] = ()) -> str:
    """Gin text of what has been built in some full scopes, defaults included; `also` names single (scope, class)."""

    def asked(scope, selector):
        return scope in scopes or (scope, selector.rpartition(".")[2]) in also

    kept = {key: values for key, values in gin.config._OPERATIVE_CONFIG.items() if asked(*key)}
    written = repr((kept, imported()))
    if written not in _texts:
        _texts[written] = gin.config._config_str(kept, 100, 4).rstrip()
    return _texts[written]


def unused() -> list[Binding]:
    """The bindings that nothing built so far has consumed."""
    consumed = {_origins[inside] for inside in _read() if inside in _origins}
    return [binding for binding in _bound if binding not in consumed and binding.selector != "gin.macro"]


def _read() -> set[Binding]:
    """The parameters, each in its full scope, of everything built so far."""
    operative = gin.config._OPERATIVE_CONFIG.items()
    return {Binding(scope, selector, parameter) for (scope, selector), values in operative for parameter in values}


def _shadowed() -> dict[Binding, list[Binding]]:
    """Each binding in whose place something built so far has taken more particular ones, and these."""
    shadowed = {}
    for inside in sorted(_read() & set(_origins)):
        for binding in _bound:
            if binding[1:] != inside[1:] or binding == _origins[inside]:
                continue
            if _rank(binding.scope, inside.scope.split("/")) is not None:
                shadowed.setdefault(binding, {})[_origins[inside]] = None
    return {binding: list(by) for binding, by in shadowed.items()}


def check() -> None:
    """To be called once everything is built: says which bindings that the person has written had no effect.

    A binding in whose place others count, everywhere or somewhere, is a warning on standard error.

    Raises:
      ValueError: for a binding that nothing consumed, with the nearest that would have been.
    """
    left, shadowed = set(unused()), _shadowed()
    for binding in sorted(_asked):
        by = [b for b in shadowed.get(binding, []) if b not in _asked and _bound[b] != _bound[binding]]
        if by:
            others = ", ".join(f"{other} = {_bound[other]!r}" for other in by)
            where = ":" if binding in left else " where"
            said = f"{binding} = {_bound[binding]!r} has no effect{where} {others} is more particular"
            print(f"warning: {said}", file=sys.stderr)
        elif binding in left and binding not in shadowed:
            raise ValueError(f"nothing reads {binding}; {_nearest(binding)}")


def _nearest(wrong: Binding) -> str:
    """What would have been consumed in place of a binding that was not."""
    read = [binding for binding in _read() if binding.scope in _scopes]
    same = [binding for binding in read if binding[1:] == wrong[1:]]
    same = same or [binding for binding in read if binding.parameter == wrong.parameter]
    # Where neither is right, scopes would only hide what is alike.
    same = same or [binding._replace(scope="") for binding in read]
    if not same:
        return "nothing has been built"
    return f"did you mean {difflib.get_close_matches(str(wrong), sorted(set(map(str, same))), n=1, cutoff=0)[0]!r}?"


def _with_valid_names(message: str) -> str:
    """gin's message, ending with the names that would have been right."""
    first = message.strip().splitlines()[0]
    if unknown := re.search(r"No configurable matching '([^']+)'", message):
        names = sorted({selector.split(".")[-1] for selector, _ in gin.config._REGISTRY.items()})
        return f"{first} {_choices(unknown.group(1), names)}"
    if unknown := re.search(r"onfigurable '([^']+)' doesn't have a parameter named '([^']+)'", message):
        target = gin.get_configurable(unknown.group(1))
        names = _parameters(target)
        known = {selector.split(".")[-1]: _parameters(each.wrapper) for selector, each in gin.config._REGISTRY.items()}
        others = [name for name, parameters in known.items() if unknown.group(2) in parameters]
        elsewhere = "".join(f"There is {name}.{unknown.group(2)}. " for name in others[:1])
        return f"{first} {elsewhere}{_choices(unknown.group(2), names)}"
    return first


def _parameters(configurable) -> list[str]:
    return [name for name in inspect.signature(configurable).parameters if name not in ("self", "name", "parent")]


def _choices(wrong: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wrong.split("/")[-1].split(".")[-1], names, n=1)
    return (f"Did you mean {close[0]!r}? " if close else "") + f"Valid: {', '.join(names)}."
