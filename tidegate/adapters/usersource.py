"""Loads and calls the user's functions, straight from the home's files."""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tidegate.config.base import did_you_mean
from tidegate.errors import ConfigError, SourceError, TidegateError

PACKAGE = "tidegate_home"
_loading = threading.RLock()


def load_function(path: str, root: Path) -> Callable[..., Any]:
    """The function at `module:function`, its module searched below the home first.

    A module below the home is known by where it is and what is in it: an edited file is
    loaded anew, and two homes may have modules of the same name. `sys.path` is left alone,
    so such a module imports what is installed, not its neighbours.

    Raises
    ------
    ConfigError
        If the module or the function is not there.
    SourceError
        If importing the module raises.
    """
    module_name, _, function = path.partition(":")
    file = root.joinpath(*module_name.split(".")).with_suffix(".py")
    try:
        module = _load_file(file) if file.is_file() else importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if not file.is_file() and fault.name and f"{module_name}.".startswith(f"{fault.name}."):
            where = f"a module at {module_name.replace('.', '/')}.py below the home, or installed"
            raise ConfigError(path, where, "none", "correct the path") from None
        raise _broken(path, "a module that can be imported", fault, "install what it needs") from fault
    except (Exception, SystemExit) as fault:
        raise _broken(path, "a module that can be imported", fault, "mend the user code") from fault
    found = getattr(module, function, None)
    if not callable(found):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ConfigError(
            path, f"a function {function!r} in {module_name}", "none" if found is None else type(found).__name__,
            did_you_mean(function, known, "correct the name"),
        )  # fmt: skip
    return found  # type: ignore[no-any-return]


def call_user(path: str, root: Path, *args: Any, **kwargs: Any) -> Any:
    """Call the user's function; whatever it raises becomes one `SourceError`.

    Faults of Tidegate's own that pass through it (of `read_file`, say) stay as they are.
    """
    function = load_function(path, root)
    try:
        return function(*args, **kwargs)
    except TidegateError:
        raise
    except (Exception, SystemExit) as fault:
        raise _broken(path, "a result", fault, "mend the user code and run the window again") from fault


def _load_file(file: Path) -> ModuleType:
    source = file.read_bytes()
    digest = hashlib.sha256(str(file.resolve()).encode() + b"\0" + source).hexdigest()[:16]
    name = f"{PACKAGE}.{file.stem}_{digest}"
    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = str(file)
        # Dataclasses and pickle look a class's module up by name.
        sys.modules[name] = module
        try:
            # The import system would trust a cached .pyc of the same second and size.
            exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102
        except BaseException:
            del sys.modules[name]
            raise
        return module


def _broken(path: str, expected: str, fault: BaseException, do: str) -> SourceError:
    text = " ".join(str(fault).split())[:300]
    return SourceError(f"user code {path}", expected, f"{type(fault).__name__}: {text}", do)
