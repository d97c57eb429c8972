"""A project: a home and the configuration in it, loaded and checked on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from typing import Any, TypeVar

from tidegate.config.base import Settings, did_you_mean, show
from tidegate.config.check import check_part, parse
from tidegate.config.dataset import Dataset
from tidegate.config.home import MARKER, Home
from tidegate.config.model import Model
from tidegate.config.platform import Platform
from tidegate.config.values import NAME, NAME_WORDS
from tidegate.config.yamlfile import read_yaml
from tidegate.errors import ConfigError
from tidegate.windows import Calendar

__all__ = ["Layer", "Project", "load_project", "merged", "origin_of", "parse"]

S = TypeVar("S", bound=Settings)
PLATFORM = MARKER.as_posix()
DEFAULTS = f"{PLATFORM} defaults"
BUILT_IN = "built in"
OVERRIDES = "overrides.yaml"


@dataclass(frozen=True)
class Layer:
    """Settings from one place; `origin` names it in errors and in `tidegate config explain`."""

    origin: str
    data: Mapping[str, Any]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top, key by key, at every level.

    Examples
    --------
    >>> merged({"gate": {"alpha": 0.1, "looks": 3}}, {"gate": {"alpha": 0.05}})
    {'gate': {'alpha': 0.05, 'looks': 3}}
    """
    out = dict(base)
    for key, value in over.items():
        known = out.get(key)
        out[key] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return out


def origin_of(path: Sequence[Any], layers: Sequence[Layer]) -> str:
    """Where the value at a key path comes from; the first of the layers wins."""
    for layer in layers:
        value: Any = layer.data
        for part in path:
            if not isinstance(value, Mapping):
                break  # the layer set a key above, so all below it is the layer's
            if part not in value:
                value = Ellipsis
                break
            value = value[part]
        if value is not Ellipsis:
            return layer.origin
    return BUILT_IN


class Project:
    """The configuration of one home.

    Raises
    ------
    ConfigError
        Like all its methods, if a file is absent or anything in it is not as it should be.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.platform = parse(Platform, read_yaml(home.root / MARKER, PLATFORM), PLATFORM)
        if "name" in self.platform.defaults:
            raise ConfigError(f"{DEFAULTS}: name", "keys that models share", "a name", "remove it")
        check_part(Model, self.platform.defaults, DEFAULTS)
        # A run sees one configuration from its start to its end, whatever is edited meanwhile.
        self.dataset = cache(self._dataset)
        self.model = cache(self._model)

    def _dataset(self, name: str) -> Dataset:
        """The dataset of `configs/datasets/<name>.yaml`."""
        return self._parsed(Dataset, name, f"configs/datasets/{name}.yaml", self.dataset_layers(name))

    def _model(self, name: str) -> Model:
        """The model of `configs/models/<name>.yaml`, with inherited defaults, checked against its dataset."""
        layers = self.model_layers(name)
        model = self._parsed(Model, name, f"configs/models/{name}.yaml", layers)
        self._find("datasets", model.dataset, f"{origin_of(('dataset',), layers)}: dataset")
        dataset = self.dataset(model.dataset)
        gate = model.gate
        named = {
            "features": model.features,
            "segments": model.segments,
            "protected": model.protected,
            "gate.segments": gate.segments,
            "gate.immutable": gate.immutable,
            "gate.robustness.strong": gate.robustness.strong,
            "gate.robustness.source": (gate.robustness.source,) if gate.robustness.source else (),
        }
        for what, columns in named.items():
            thing = f"{origin_of(tuple(what.split('.')), layers)}: {what}"
            for column in columns:
                if column not in dataset.columns:
                    do = did_you_mean(column, dataset.columns, "declare it there or remove it here")
                    raise ConfigError(thing, f"a column of dataset {dataset.name}", show(column), do)
                if what == "features" and dataset.columns[column].known == "later":
                    found, do = f"{show(column)}, known later", "remove it: it would leak the label"
                    raise ConfigError(thing, "columns known at the event", found, do)
        return model

    def models(self) -> dict[str, Model]:
        """Every model of `configs/models`, by name."""
        return {p.stem: self.model(p.stem) for p in sorted((self.home.root / "configs" / "models").glob("*.yaml"))}

    def calendar(self, dataset: Dataset) -> Calendar:
        """The calendar that cuts the dataset's time into windows."""
        c = dataset.calendar
        return Calendar(c.time_zone, frozenset(c.holidays), frozenset(c.expected_empty))

    def dataset_layers(self, name: str) -> tuple[Layer, ...]:
        """The places a dataset's settings come from, the strongest first."""
        return self._file("datasets", name), self._namespace()

    def model_layers(self, name: str) -> tuple[Layer, ...]:
        """The places a model's settings come from, the strongest first."""
        file, defaults = self._file("models", name), Layer(DEFAULTS, self.platform.defaults)
        return *self._overrides(name), file, defaults, self._namespace()

    def _overrides(self, name: str) -> tuple[Layer, ...]:
        """What a replay's home says differently: `overrides.yaml` in its state folder."""
        path = self.home.state / OVERRIDES
        # In a replay only: a file below `var/` must not change what a real home's files say.
        if self.home.state == self.home.shared or not path.is_file():
            return ()
        models = read_yaml(path, OVERRIDES).get("models")
        data = models.get(name, {}) if isinstance(models, dict) else None
        if not isinstance(data, dict):
            raise ConfigError(OVERRIDES, "models: {name: {key: value}}", show(models), "run the replay again")
        return (Layer(OVERRIDES, data),)

    def _namespace(self) -> Layer:
        given = "namespace" in self.platform.model_fields_set
        return Layer(PLATFORM, {"namespace": self.platform.namespace} if given else {})

    def _file(self, folder: str, name: str) -> Layer:
        source = self._find(folder, name, f"{folder.removesuffix('s')} {show(name)}")
        return Layer(source, {"name": name, **read_yaml(self.home.root / source, source)})

    def _find(self, folder: str, name: str, thing: str) -> str:
        # The check comes before the name is put into a path.
        if not NAME.fullmatch(name):
            raise ConfigError(thing, NAME_WORDS, show(name), "correct the name")
        source = f"configs/{folder}/{name}.yaml"
        if not (self.home.root / source).is_file():
            known = sorted(p.stem for p in (self.home.root / source).parent.glob("*.yaml"))
            what = f"one of {', '.join(known)}" if known else f"a file in configs/{folder}"
            raise ConfigError(thing, what, f"no {source}", did_you_mean(name, known, f"create {source}"))
        return source

    def _parsed(self, kind: type[S], name: str, source: str, layers: Sequence[Layer]) -> S:
        data: dict[str, Any] = reduce(lambda over, layer: merged(layer.data, over), layers, {})

        def blame(path: tuple[Any, ...]) -> str:
            origin = origin_of(path, layers)
            return source if origin == BUILT_IN else origin

        settings = parse(kind, data, source, blame=blame)
        if data["name"] != name:
            raise ConfigError(f"{source}: name", f"{name!r}, as the file is called", show(data["name"]),
                              "rename the file or remove the key")  # fmt: skip
        return settings


@lru_cache(maxsize=32)
def load_project(home: Home) -> Project:
    """The project at a home, read once per process."""
    return Project(home)
