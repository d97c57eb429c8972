"""Reads YAML that may come from anybody: safe types only, small, no alias bombs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tidegate.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_ALIASES = 32
MAX_DEPTH = 32


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    pass


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises
    ------
    ConfigError
        If the file is absent, over 256 KiB, has over 32 aliases or 32 levels, repeats a
        key, holds a tag beyond plain YAML, or is not a mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(str(path), f"at most {MAX_BYTES} bytes", f"{path.stat().st_size}", "split the file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(str(path), "a configuration file", "no such file", f"create it or look at {path.parent}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(str(path), "a readable UTF-8 file", str(fault)) from None
    try:
        aliases = depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            aliases += isinstance(event, yaml.AliasEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if aliases > MAX_ALIASES or depth > MAX_DEPTH:
                raise ConfigError(str(path), f"at most {MAX_ALIASES} aliases and {MAX_DEPTH} levels", "more")
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader's subclass
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}", "valid YAML", getattr(fault, "problem", None) or str(fault)) from None
    if not isinstance(data, dict):
        raise ConfigError(str(path), "a mapping of keys to values", type(data).__name__)
    return data
