"""The environment that scores are made in: Python and the libraries they depend on."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache

LIBRARIES = ("scikit-learn", "numpy", "pandas", "scipy", "pyarrow", "treelite")


@lru_cache(maxsize=1)
def environment() -> str:
    """A short digest of Python's version and those of the libraries that scores depend on.

    Examples
    --------
    >>> len(environment()), environment() == environment()
    (12, True)
    """
    import importlib.metadata as meta

    words = [platform.python_version(), *(f"{n}=={meta.version(n)}" for n in LIBRARIES)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


__all__ = ["LIBRARIES", "environment"]
