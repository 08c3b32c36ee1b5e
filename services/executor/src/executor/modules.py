"""Users' modules: found by dotted name or by path, and the functions they offer."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from common.errors import ConfigurationError
from common.serving.functions import Function, functions_in


def load_functions(names: Sequence[str]) -> list[Function]:
    """Import each module and collect its decorated functions.

    A name is dotted (`shop.functions`), or the path of a file (`./functions.py`). Raises `ConfigurationError`
    for what cannot be imported, offers nothing, or offers the same `name:version` twice.
    """
    found: dict[str, Function] = {}
    for name in names:
        offered = list(functions_in(_load(name)))
        if not offered:
            raise ConfigurationError(
                f"module {name} offers no function: decorate one with @function(...)"
            )
        for one in offered:
            other = found.setdefault(one.reference, one)
            if other is not one:
                raise ConfigurationError(
                    f"{one.reference} is offered twice, by {other.call.__module__} and {one.call.__module__}: "
                    "change the name or the version of one"
                )
    return list(found.values())


def _load(name: str) -> ModuleType:
    try:
        return _load_file(Path(name)) if _is_path(name) else _load_dotted(name)
    except ConfigurationError:
        raise
    except Exception as error:
        # Whatever the user's module raises while it is imported is the operator's to mend.
        raise ConfigurationError(
            f"module {name} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _is_path(name: str) -> bool:
    return name.endswith(".py") or "/" in name


def _load_dotted(name: str) -> ModuleType:
    # As `python -m` does: a module beside which the executor was started can be named.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigurationError(f"module {path} cannot be imported: there is no such file")
    # A name of its own: two projects may both have a functions.py.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"kwe_module_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its neighbours are importable, as they are for a script.
    if str(path.resolve().parent) not in sys.path:
        sys.path.append(str(path.resolve().parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
