"""Says of every effective setting where it was set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tidegate.config.base import Settings
from tidegate.config.project import Layer, Project, origin_of
from tidegate.config.values import duration_text

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^/\s]*@")


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting: its dotted `key`, its `value` as YAML would have it, and its `origin`.

    The origin is the file (`configs/models/<name>.yaml`), `configs/tidegate.yaml defaults`,
    `built in`, `configs/tidegate.yaml` for the namespace of the home, or a replay's `overrides.yaml`.
    """

    key: str
    value: Any
    origin: str


def explain(project: Project, model_name: str) -> list[Explained]:
    """Every setting of a model, in the order of the reference.

    Raises
    ------
    ConfigError
        If the model's configuration is not valid.
    """
    return list(_explained(project.model(model_name), (), project.model_layers(model_name)))


def explain_dataset(project: Project, dataset_name: str) -> list[Explained]:
    """Every setting of a dataset; as `explain`."""
    return list(_explained(project.dataset(dataset_name), (), project.dataset_layers(dataset_name)))


def plain(value: Any) -> Any:
    """A setting in the types of JSON, as it is written in YAML; passwords in addresses are hidden.

    Examples
    --------
    >>> plain((timedelta(days=2), "postgresql://me:secret@db/flights"))
    ['2d', 'postgresql://me:***@db/flights']
    """
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1***@", value)
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return value


def _explained(value: Any, path: tuple[Any, ...], layers: Sequence[Layer]) -> Iterator[Explained]:
    below: Mapping[Any, Any] = {}
    if isinstance(value, Settings):
        below = {name: getattr(value, name) for name in type(value).model_fields}
    elif isinstance(value, Mapping):
        below = value
    for name, part in below.items():
        yield from _explained(part, (*path, name), layers)
    if not below:
        yield Explained(".".join(map(str, path)), plain(value), origin_of(path, layers))
