"""The user's code, copied beside the model and imported from there, never from its source."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
import types
from collections.abc import Callable, Mapping
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any

from tidegate.errors import ConfigError, SourceError
from tidegate.lineage.digest import folder_digest

PACKAGE = "tidegate_user"


class _Uncached(SourceFileLoader):
    """Compiles the source each time: a cached file beside it is in no digest, and may say something else."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError(f"no cache of {path} is read or written")


def source_folder(path: str, root: Path) -> Path:
    """The folder of the module in `module:function`, below the home or installed."""
    module = path.split(":", maxsplit=1)[0]
    file = root.joinpath(*module.split(".")).with_suffix(".py")
    if file.is_file():
        return file.parent
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.origin:
        raise ConfigError(
            path, f"a module at {module.replace('.', '/')}.py below the home, or installed", "none", "correct the path"
        )
    return Path(spec.origin).parent


def copy_code(path: str, root: Path, target: Path) -> str:
    """Copy the Python files of the module's folder to `target`; returns their digest."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source_folder(path, root).glob("*.py")):
        shutil.copyfile(file, target / file.name)
    return folder_digest(target)


def package_of(model: str, digest: str) -> str:
    """The name that a model's copied code is imported under."""
    return f"{PACKAGE}.{model.replace('-', '_')}_{digest[:12]}"


def load_copied(path: str, folder: Path, model: str, digest: str) -> Callable[..., Any]:
    """The function at `module:function`, imported from copied code.

    The module becomes ``tidegate_user.<model>_<digest>.<module>``: two versions of one
    model live side by side, each with the code that it was trained with.
    """
    module, function = path.split(":")
    package = package_of(model, digest)
    sys.path_importer_cache[str(folder)] = FileFinder(str(folder), (_Uncached, SOURCE_SUFFIXES))
    for name, where in ((PACKAGE, []), (package, [str(folder)])):
        made = sys.modules.setdefault(name, types.ModuleType(name))
        # The same code may lie in a new folder: what it has yet to import comes from there.
        made.__path__ = where
    try:
        loaded = importlib.import_module(f"{package}.{module.rsplit('.', 1)[-1]}")
        return getattr(loaded, function)  # type: ignore[no-any-return]
    except AttributeError:
        raise ConfigError(path, f"a function {function!r} in {module}", "none", "correct the name") from None
    except Exception as fault:
        raise SourceError(
            f"user code {path}",
            "a module that can be imported",
            f"{type(fault).__name__}: {fault}",
            "mend the user code",
        ) from fault
