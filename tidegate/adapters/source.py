"""Reads a window from a dataset's source: files, SQL, or the user's own function."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tidegate.config.dataset import Source
from tidegate.config.home import Home
from tidegate.errors import ConfigError, SourceError
from tidegate.windows import Window


def load_function(path: str, root: Path) -> Callable[..., Any]:
    """The function at `module:function`, its module searched below the home first.

    Raises
    ------
    ConfigError
        If the module or the function is not there.
    SourceError
        If importing the module raises.
    """
    module_name, function = path.split(":")
    file = root.joinpath(*module_name.split(".")).with_suffix(".py")
    try:
        if file.is_file():
            name = "tidegate_home." + module_name
            module = sys.modules.get(name)
            if module is None or getattr(module, "__file__", None) != str(file):
                spec = importlib.util.spec_from_file_location(name, file)
                assert spec and spec.loader
                module = importlib.util.module_from_spec(spec)
                sys.modules[name] = module
                spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if fault.name and module_name.startswith(fault.name):
            raise ConfigError(path, f"a module at {module_name.replace('.', '/')}.py below the home, or installed", "none", "correct the path") from None
        raise SourceError(f"user code {path}", "a module that can be imported", str(fault), "install what it needs") from fault
    except Exception as fault:
        raise SourceError(f"user code {path}", "a module that can be imported", f"{type(fault).__name__}: {fault}", "mend the user code") from fault
    if not hasattr(module, function):
        raise ConfigError(path, f"a function {function!r} in {module_name}", "none", "correct the name")
    return getattr(module, function)  # type: ignore[no-any-return]


def call_user(path: str, root: Path, *args: Any, **kwargs: Any) -> Any:
    """Call the user's function; whatever it raises becomes one `SourceError`."""
    function = load_function(path, root)
    try:
        return function(*args, **kwargs)
    except Exception as fault:
        raise SourceError(f"user code {path}", "a result", f"{type(fault).__name__}: {fault}", "mend the user code and run the window again") from fault


def files_of(source: Source, window: Window, home: Home) -> list[Path]:
    """The files of a window; a replay's injected copy stands in for the original."""
    if not source.files:
        return []
    original = home.root / source.files.format(date=window.id)
    injected = home.shared / "injected" / source.files.format(date=window.id)
    return [injected if injected.is_file() else original]


def read_window(source: Source, window: Window, home: Home) -> pd.DataFrame:
    """The source's rows of a window, untyped as they came.

    Raises
    ------
    SourceError
        If a file is absent or cannot be read, the query fails, or the user's code raises.
    """
    files = files_of(source, window, home)
    for path in files:
        if not path.is_file():
            raise SourceError(f"source file {path.name} of window {window.id}", "a file", "no such file", f"put it into {path.parent} and run the window again")
    if source.python:
        frame = call_user(source.python, home.root, window, files)
    elif source.sql:
        frame = _query(source, window)
    else:
        frame = pd.concat([read_file(path) for path in files], ignore_index=True)
    if not isinstance(frame, pd.DataFrame):
        raise SourceError(f"source {source.python}", "a pandas DataFrame", type(frame).__name__, "return a DataFrame")
    return frame


def read_file(path: Path) -> pd.DataFrame:
    """A CSV (as text, for the contract to parse) or Parquet file."""
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=["", "NA"])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except Exception as fault:
        raise SourceError(f"source file {path}", "a readable CSV or Parquet file", f"{type(fault).__name__}: {str(fault).splitlines()[0]}", "replace the file and run the window again") from None


def _query(source: Source, window: Window) -> pd.DataFrame:
    from sqlalchemy import create_engine, text

    try:
        with create_engine(str(source.url)).connect() as c:
            return pd.read_sql(text(str(source.sql)), c, params={"start": window.start, "end": window.end})
    except Exception as fault:
        raise SourceError("source query", "rows", f"{type(fault).__name__}: {str(fault).splitlines()[0]}", "correct sql or url in the dataset file") from None
