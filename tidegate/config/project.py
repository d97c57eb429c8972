"""A project: a home and the configuration in it, loaded and checked on demand."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tidegate.config.base import Settings
from tidegate.config.dataset import Dataset
from tidegate.config.home import MARKER, Home
from tidegate.config.model import Model
from tidegate.config.platform import Platform
from tidegate.config.yamlfile import read_yaml
from tidegate.errors import ConfigError
from tidegate.windows import Calendar

S = TypeVar("S", bound=Settings)
NAME = re.compile(r"^[a-z0-9_-]{1,64}$")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top, key by key, at every level."""
    out = dict(base)
    for key, value in over.items():
        known = out.get(key)
        out[key] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return out


def parse(kind: type[S], data: Mapping[str, Any], source: str) -> S:
    """Validate `data`; a `ConfigError` names the key, what was expected and what was found."""
    try:
        return kind.model_validate(data)
    except ValidationError as fault:
        first = fault.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(first["loc"][-1]), _keys(kind, first["loc"][:-1]), n=1)
            raise ConfigError(f"{source}: {key}", "a known key", f"{first['loc'][-1]!r}",
                              f"did you mean {near[0]!r}?" if near else "remove it") from None
        raise ConfigError(f"{source}: {key}", first["msg"].removeprefix("Value error, "), repr(first["input"])[:120], "correct the value") from None


def _keys(kind: type[Settings], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        field = kind.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, Settings)):
            return []
        kind = inner
    return list(kind.model_fields)


class Project:
    """The configuration of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.platform = parse(Platform, read_yaml(home.root / MARKER), str(MARKER))

    def _file(self, folder: str, name: str) -> Path:
        if not NAME.match(name):
            raise ConfigError(f"{folder[:-1]} name", "lower-case letters, digits, '_' or '-', at most 64", repr(name))
        path = self.home.root / "configs" / folder / f"{name}.yaml"
        if not path.is_file():
            known = sorted(p.stem for p in path.parent.glob("*.yaml"))
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(f"{folder[:-1]} {name!r}", f"one of {known}", "no such file",
                              f"did you mean {near[0]!r}?" if near else f"create {path.relative_to(self.home.root)}")
        return path

    def dataset(self, name: str) -> Dataset:
        path = self._file("datasets", name)
        return parse(Dataset, {"name": name, "namespace": self.platform.namespace, **read_yaml(path)}, f"configs/datasets/{name}.yaml")

    def model(self, name: str) -> Model:
        path = self._file("models", name)
        data = merged({"namespace": self.platform.namespace, **self.platform.defaults}, {"name": name, **read_yaml(path)})
        source = f"configs/models/{name}.yaml"
        model = parse(Model, data, source)
        dataset = self.dataset(model.dataset)
        for what in ("features", "segments", "protected"):
            for column in getattr(model, what):
                if column not in dataset.columns:
                    near = difflib.get_close_matches(column, list(dataset.columns), n=1)
                    raise ConfigError(f"{source}: {what}", f"a column of dataset {dataset.name}", repr(column), f"did you mean {near[0]!r}?" if near else "")
                if what == "features" and dataset.columns[column].known == "later":
                    raise ConfigError(f"{source}: features", "columns known at the event", f"{column!r}, known later", "remove it: it would leak the label")
        return model

    def calendar(self, dataset: Dataset) -> Calendar:
        c = dataset.calendar
        return Calendar(c.time_zone, frozenset(c.holidays), frozenset(c.expected_empty))


@lru_cache(maxsize=32)
def load_project(home: Home) -> Project:
    """The project at a home, read once per process."""
    return Project(home)
