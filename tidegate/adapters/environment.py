"""A short digest of what Python and which libraries a model runs on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from tidegate.lineage.digest import json_digest

LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "skops", "treelite", "tidegate")


@cache
def libraries() -> dict[str, str]:
    """Python's version and those of the libraries that decide what a model answers; "" for one that is not there."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


@cache
def environment_digest() -> str:
    """Twelve hex digits: the same wherever the same versions answer."""
    return json_digest(libraries())[:12]


__all__ = ["LIBRARIES", "environment_digest", "libraries"]
