"""Reads YAML that may come from anybody: plain values only, small, no alias bombs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tidegate.config.base import show
from tidegate.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_ALIASES = 32
MAX_DEPTH = 32


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as fault:
            # PyYAML lets 2013-02-30 and 0x_ through to Python.
            raise yaml.MarkedYAMLError(problem=str(fault), problem_mark=node.start_mark) from None


def read_yaml(path: Path, shown: str | None = None) -> dict[str, Any]:
    """The mapping in a YAML file, named `shown` in errors.

    Raises
    ------
    ConfigError
        If the file is absent, empty, unreadable, not UTF-8, larger than 256 KiB (with its
        aliases written out, too), has over 32 aliases or 32 levels, repeats a key, has a tag
        such as ``!!python/name``, or is not one mapping.
    """
    thing = shown or str(path)
    text = _text(path, thing)
    try:
        _refuse_bombs(text, thing)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _refuse_repeated_keys(node, thing)
            data = loader.construct_document(node) if node else None
        finally:
            loader.dispose()
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
        problem = " ".join(str(getattr(fault, "problem", None) or getattr(fault, "reason", None) or "a fault").split())
        problem = problem.removeprefix("but ").removeprefix("found ")
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{thing}{where}", "valid YAML", problem, "correct the file") from None
    if data is None:
        raise ConfigError(thing, "a mapping of keys to values", "an empty file", "see docs/config.md")
    if not isinstance(data, dict):
        raise ConfigError(thing, "a mapping of keys to values", show(data), "write key: value lines")
    return data


def _text(path: Path, thing: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError(thing, f"at most {MAX_BYTES} bytes", "more", "remove what is not configuration")
        return raw.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(thing, "a configuration file", "no such file", "create it") from None
    except UnicodeDecodeError as fault:
        found = f"byte {fault.object[fault.start]:#04x} at {fault.start}"
        raise ConfigError(thing, "UTF-8 text", found, "save it as UTF-8") from None
    except OSError as fault:
        found = fault.strerror or type(fault).__name__
        raise ConfigError(thing, "a readable file", found, "make it readable") from None


def _refuse_bombs(text: str, thing: str) -> None:
    """Measure what the file would expand to, event by event, before anything is built."""
    aliases = size = 0
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=_Loader):
        where = f"{thing} line {event.start_mark.line + 1}" if event.start_mark else thing
        if tag := getattr(event, "tag", None):
            raise ConfigError(where, "plain YAML", f"the tag {show(tag)}", "remove the tag")
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            # Within its own anchor an alias would have no end; one of no anchor is the parser's to refuse.
            within = any(anchor == event.anchor for anchor, _ in open_)
            size += MAX_BYTES if within else sizes.get(event.anchor or "", 0)
        elif isinstance(event, yaml.ScalarEvent):
            size += len(event.value) + 1
            if event.anchor:
                sizes[event.anchor] = len(event.value) + 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, size))
            size += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = size - before
        if aliases > MAX_ALIASES or len(open_) > MAX_DEPTH or (aliases and size > MAX_BYTES):
            limits = f"at most {MAX_ALIASES} aliases, {MAX_DEPTH} levels and {MAX_BYTES} bytes when written out"
            raise ConfigError(where, limits, "more", "write the values out where they are used")


def _refuse_repeated_keys(node: yaml.Node | None, thing: str) -> None:
    for mapping in _mappings(node, set()):
        first: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in first:
                found = f"{show(key.value)} again, first on line {first[name]}"
                raise ConfigError(f"{thing} line {line}", "every key once", found, "remove one of the two")
            first[name] = line


def _mappings(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.MappingNode]:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for key, value in node.value:
            yield from _mappings(key, seen)
            yield from _mappings(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _mappings(item, seen)
