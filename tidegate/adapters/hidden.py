"""Secrets that the configuration only names: an environment variable, or a file that its owner alone can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tidegate.errors import ConfigError

LONGEST = 4096


def secret_of(where: str, key: str, root: Path, environment: Mapping[str, str]) -> str:
    """The text behind ``env:NAME`` or ``file:PATH``, without blanks around it.

    Parameters
    ----------
    key : str
        The key of the configuration that names it, for messages. No message has what was read in it.
    root : Path
        The home: what a relative path is relative to.

    Raises
    ------
    ConfigError
        If there is none, or the file can be read by others than its owner.
    """
    kind, _, name = where.partition(":")
    if kind == "env":
        found = environment.get(name, "")
        thing, do = f"{key}: environment variable {name}", f"set {name} where Tidegate is started"
    else:
        file = root / name
        thing, do = f"{key}: file {name}", f"put it into {name}, readable by its owner only"
        found = _read(file, thing, do)
    found = found.strip()
    if not found or len(found) > LONGEST or not found.isprintable():
        raise ConfigError(thing, f"one line of 1 to {LONGEST} characters", "nothing" if not found else "another", do)
    return found


def _read(file: Path, thing: str, do: str) -> str:
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise ConfigError(thing, "a file that only its owner can read", "others can", f"chmod 600 {file.name}")
            return opened.read(LONGEST * 4 + 1).decode()
    except OSError as fault:
        raise ConfigError(thing, "a private file", fault.strerror or type(fault).__name__, do) from None
    except UnicodeDecodeError:
        raise ConfigError(thing, "text", "bytes that are none", do) from None


__all__ = ["secret_of"]
