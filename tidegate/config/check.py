"""Checks raw YAML data against a configuration model; the first fault becomes one `ConfigError`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tidegate.config.base import WRONG, Settings, did_you_mean, quotes, show
from tidegate.config.values import duration_text
from tidegate.errors import ConfigError

S = TypeVar("S", bound=Settings)
Path = tuple[Any, ...]

_EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "invalid_key": "a key that is text",
}


def parse(kind: type[S], data: Mapping[str, Any], source: str, *, blame: Callable[[Path], str] | None = None) -> S:
    """Validate `data`.

    Parameters
    ----------
    source : str
        The file, as it is named in errors.
    blame : callable, optional
        The source of one key path, where `data` was merged from several.

    Raises
    ------
    ConfigError
        With the key, what was expected and what was found, in one line.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as fault:
        raise _explained(kind, fault.errors(include_url=False), blame or (lambda _: source)) from None


def check_part(kind: type[Settings], data: Mapping[str, Any], source: str) -> None:
    """Check a part of a `kind`, such as inherited defaults: what is absent may come from elsewhere.

    Raises
    ------
    ConfigError
        For an unknown key, a wrong type or a value out of bounds.
    """
    try:
        kind.model_validate(data)
    except ValidationError as fault:
        # A rule over several keys can only be judged on the whole.
        faults = [
            e for e in fault.errors(include_url=False)
            if e["type"] != "missing" and not (e["type"] == WRONG and settings_at(kind, e["loc"]))
        ]  # fmt: skip
        if faults:
            raise _explained(kind, faults, lambda _: source) from None


def inner(annotation: Any) -> tuple[type[Settings] | None, bool]:
    """The settings inside a field's annotation, and whether they are the values of a mapping or list."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation, False
    if get_origin(annotation) is dict:
        return inner(get_args(annotation)[1])[0], True
    if get_origin(annotation) is tuple:
        return inner(get_args(annotation)[0])[0], True
    if get_origin(annotation) in (Annotated, Union, UnionType):
        found = [inner(a) for a in get_args(annotation)]
        return next((f for f in found if f[0]), (None, False))
    return None, False


def settings_at(kind: type[Settings], path: Path) -> type[Settings] | None:
    """The settings found at a key path; None where there is a plain value, or nothing."""
    parts = list(path)
    while parts:
        field = kind.model_fields.get(str(parts.pop(0)))
        below, mapping = inner(field.annotation) if field else (None, False)
        if below is None or (mapping and not parts):
            return None
        if mapping:
            parts.pop(0)
        kind = below
    return kind


def _explained(kind: type[Settings], faults: list[ErrorDetails], blame: Callable[[Path], str]) -> ConfigError:
    # A misspelt key is often a missing one too; the spelling is the better news.
    first = min(faults, key=lambda e: e["type"] != "extra_forbidden")
    path: Path = first["loc"]
    if path and path[-1] == "[key]":
        path = (*path[:-2], first["input"])  # pydantic names the key true 1
    ctx: dict[str, Any] = first.get("ctx", {})
    if first["type"] == WRONG:
        path += tuple(ctx["key"].split(".")) if ctx["key"] else ()
        expected, found, do = ctx["expected"], ctx["found"], ctx["do"] or "correct the value"
    elif first["type"] == "extra_forbidden":
        owner = settings_at(kind, path[:-1])
        known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
        expected, found = "a known key", show(path[-1])
        do = did_you_mean(path[-1], known, f"remove it; known are {', '.join(known)}")
    elif first["type"] == "missing":
        expected, found, do = "a value", "none", "add it; docs/config.md says what it means"
    else:
        template = _EXPECTED.get(first["type"])
        expected = template.format_map({k: _word(v) for k, v in ctx.items()}) if template else first["msg"]
        found = f"{ctx['actual_length']}" if "actual_length" in ctx else _found(first["input"])
        do = _hint(first["type"], first["input"], ctx)
    key = ".".join(p if re.fullmatch(r"[\w -]{1,64}", p) else show(p) for p in map(str, path))
    where = blame(path)
    return ConfigError(f"{where}: {key}" if key else where, expected, found, do)


def _found(value: object) -> str:
    return show(duration_text(value) if isinstance(value, timedelta) else value)


def _word(value: object) -> object:
    if isinstance(value, timedelta):
        return duration_text(value)
    return f"{value:g}" if isinstance(value, float) else value


def _hint(fault: str, value: object, ctx: Mapping[str, Any]) -> str:
    if value is None:
        return "give a value or remove the key"
    if fault == "literal_error":
        return did_you_mean(value, re.findall(r"'([^']*)'", ctx["expected"]))
    if fault in {"string_type", "invalid_key"}:
        return quotes(value)
    if fault in {"float_type", "int_type"} and isinstance(value, str):
        try:
            # YAML 1.1 takes 1e-3, without a point, for text.
            return f"write {float(value) if fault == 'float_type' else int(value)!r} without quotes"
        except ValueError:
            pass
    return "correct the value"
