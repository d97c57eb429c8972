"""What a model must and must not do: its behavioural tests, `configs/models/<name>/behaviour.yaml`.

The file is in a folder of the model's name beside the model file: models are the `*.yaml`
files of `configs/models` itself, so that no folder below it can be taken for a model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from tidegate.config.base import Rule, Settings, did_you_mean, show, wrong
from tidegate.config.check import parse
from tidegate.config.dataset import Column, Dataset
from tidegate.config.model import METRICS, Model
from tidegate.config.values import Class, ColumnName, Flag, Number, Whole
from tidegate.config.yamlfile import read_yaml
from tidegate.errors import ConfigError

_VALUE_WORDS = "text, a number, an instant, true or false"
_TITLE_WORDS = "1 to 80 printable characters in one line"


D = TypeVar("D", bound="Declared")
P = TypeVar("P", bound="Perturbed")


def _value(value: object) -> object:
    if value is None or isinstance(value, str | bool | int | float | datetime):
        return value
    raise wrong(_VALUE_WORDS, show(value))


def _title(value: object) -> object:
    if isinstance(value, str) and 1 <= len(value.strip()) <= 80 and value.isprintable():
        return value.strip()
    raise wrong(_TITLE_WORDS, show(value))


Value = Annotated[Any, Rule(_VALUE_WORDS, _value, "value")]
Title = Annotated[str, Rule(_TITLE_WORDS, _title, "text")]
Where = dict[ColumnName, Value]


class Declared(Settings):
    """What all tests have."""

    name: Title = Field(description="What the test says, for people; no two tests share it.")
    why: str = Field("", max_length=500, description="Why this must hold, and where its numbers come from.")


class Perturbed(Declared):
    """What tests that change a column have."""

    column: ColumnName = Field(description="Column that is changed.")
    by: Number | None = Field(None, description="Number added; the contract's `min` and `max` are kept.")
    tolerance: Number = Field(0.0, ge=0, description="Change of the score that counts as none, in its unit.")
    share: Number = Field(1.0, gt=0, le=1, description="Share of the changed rows that must hold.")
    where: Where = Field(default_factory=dict, description="Only rows with these values.")


class Invariance(Perturbed):
    """A column that must not matter."""

    to: tuple[Value, ...] | None = Field(
        None, min_length=1, description="Values that it is changed to; without `to` and `by`, any value observed."
    )

    @model_validator(mode="after")
    def _one_change(self) -> Invariance:
        if self.by is not None and self.to is not None:
            raise wrong("`to` or `by`, not both", "both", key="to", do="remove one")
        return _moved(self)


class Direction(Perturbed):
    """A column that may move the score one way only."""

    from_: Value | None = Field(None, alias="from", description="Value that `to` is compared with; else the row's own.")
    to: Value | None = Field(None, description="Value that the column is set to.")
    expect: Literal["not_lower", "not_higher"] = Field(description="What the score must be after the change.")
    of: Class | None = Field(
        None, description="Class whose probability is meant; of a binary model the positive one, if left out."
    )

    @model_validator(mode="after")
    def _one_change(self) -> Direction:
        if (self.by is None) == (self.to is None):
            found = "none of them" if self.by is None else "both"
            raise wrong("one of `by` and `to`", found, key="by", do="say how the column changes")
        if self.from_ is not None and self.to is None:
            raise wrong("`to` with it", "none", key="from", do="add to")
        return _moved(self)


class Minimum(Declared):
    """A case so plain that the model must get it right."""

    row: dict[ColumnName, Value] = Field(min_length=1, description="The case: values that a typical row is given.")
    full: Flag = Field(False, description="`row` is complete: every feature is in it, and no typical row is used.")
    expect: Class | None = Field(None, description="Class that must be predicted.")
    of: Class | None = Field(None, description="Class whose probability the bounds are of; as in `direction`.")
    at_least: Number | None = Field(None, description="Smallest score allowed, in the score's unit.")
    at_most: Number | None = Field(None, description="Largest score allowed, in the score's unit.")

    @model_validator(mode="after")
    def _says_something(self) -> Minimum:
        if self.expect is None and self.at_least is None and self.at_most is None:
            raise wrong("one of expect, at_least and at_most", "none", key="expect", do="say what must be answered")
        return _in_order(self, self.at_least, self.at_most)


class Slice(Declared):
    """A part of the held-out rows on which a metric must reach a level."""

    where: Where = Field(min_length=1, description="The rows: columns with their values.")
    metric: str = Field(description="One of the metrics of the model's kind.")
    at_least: Number | None = Field(None, description="Smallest value allowed, in the metric's unit.")
    at_most: Number | None = Field(None, description="Largest value allowed, in the metric's unit.")
    rows: Whole = Field(200, ge=1, description="With fewer held-out rows the test is inconclusive.")

    @model_validator(mode="after")
    def _says_something(self) -> Slice:
        if self.at_least is None and self.at_most is None:
            raise wrong("at_least or at_most", "none", key="at_least", do="say what must be reached")
        return _in_order(self, self.at_least, self.at_most)


class Behaviour(Settings):
    """A file of behavioural tests."""

    rows: Whole = Field(500, ge=30, le=20_000, description="Real rows that tests change, drawn by `seed`.")
    min_rows: Whole = Field(30, ge=1, description="With fewer rows that a test could change, it is inconclusive.")
    seed: Whole = Field(0, ge=0, lt=2**32, description="Of the draw of rows and values.")
    invariance: tuple[Invariance, ...] = Field((), description="Columns that must not matter.")
    direction: tuple[Direction, ...] = Field((), description="Columns that may move the score one way only.")
    minimum: tuple[Minimum, ...] = Field((), description="Cases that must be answered rightly.")
    slices: tuple[Slice, ...] = Field((), description="Parts of the held-out rows with a level to reach.")

    @model_validator(mode="after")
    def _names_differ(self) -> Behaviour:
        names = [test.name for test in self.tests()]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise wrong("every name once", f"{show(name)} twice", key="name", do="rename one")
        return self

    def tests(self) -> tuple[Declared, ...]:
        """All tests, in the order in which they are told."""
        return (*self.invariance, *self.direction, *self.minimum, *self.slices)


def behaviour_file(name: str) -> str:
    """Where the tests of a model are, relative to the home."""
    return f"configs/models/{name}/behaviour.yaml"


def load_behaviour(root: Path, model: Model, dataset: Dataset) -> Behaviour | None:
    """The behavioural tests of a model, checked against its dataset; None where no file is.

    Raises
    ------
    ConfigError
        If the file is wrong in itself, names a column that no model could use, or asks for a row
        that the contract would refuse.
    """
    source = behaviour_file(model.name)
    if not (root / source).is_file():
        return None
    behaviour = parse(Behaviour, read_yaml(root / source, source), source)
    for kind in ("invariance", "direction", "minimum", "slices"):
        for i, test in enumerate(getattr(behaviour, kind)):
            _fits(test, model, dataset, f"{source}: {kind}.{i}")
    return behaviour


def _moved(test: P) -> P:
    if test.by == 0:
        raise wrong("a number other than 0", "0", key="by")
    return test


def _in_order(test: D, low: float | None, high: float | None) -> D:
    if low is not None and high is not None and low > high:
        raise wrong(f"at least at_least, {low:g}", f"{high:g}", key="at_most")
    return test


def _fits(test: Declared, model: Model, dataset: Dataset, at: str) -> None:
    if isinstance(test, Perturbed):
        column = _column(test.column, dataset, f"{at}.column")
        if test.by is not None and column.type not in ("number", "integer"):
            raise ConfigError(f"{at}.by", "a column of numbers", f"{test.column}, {column.type}", "use to")
        if test.by is not None and column.type == "integer" and not float(test.by).is_integer():
            raise ConfigError(f"{at}.by", "a whole number, as the column's", f"{test.by:g}", "correct the value")
    if isinstance(test, Invariance):
        for value in test.to or ():
            _allowed(value, test.column, dataset, f"{at}.to")
    if isinstance(test, Direction):
        for key, value in (("from", test.from_), ("to", test.to)):
            if value is not None:
                _allowed(value, test.column, dataset, f"{at}.{key}")
    given: Mapping[str, Any] = test.row if isinstance(test, Minimum) else getattr(test, "where", {})
    for name, value in given.items():
        key = f"{at}.{'row' if isinstance(test, Minimum) else 'where'}.{name}"
        _column(name, dataset, key)
        _allowed(value, name, dataset, key)
    if isinstance(test, Minimum) and test.full and (missing := [f for f in model.features if f not in test.row]):
        raise ConfigError(f"{at}.row", "every feature in a full row", f"no {missing[0]}", "add it or remove full")
    if isinstance(test, Slice) and test.metric not in METRICS[model.kind]:
        known = METRICS[model.kind]
        raise ConfigError(f"{at}.metric", f"one of {', '.join(known)}", show(test.metric),
                          did_you_mean(test.metric, known))  # fmt: skip
    if isinstance(test, Direction | Minimum):
        _class(test, model, at)


def _class(test: Direction | Minimum, model: Model, at: str) -> None:
    classes = model.label.classes or ()
    scored = isinstance(test, Direction) or test.at_least is not None or test.at_most is not None
    if model.kind == "multiclass" and scored and test.of is None:
        raise ConfigError(f"{at}.of", f"one of {list(classes)}", "none", "say whose probability is meant")
    expected = test.expect if isinstance(test, Minimum) else None
    for key, value in (("of", test.of), ("expect", expected)):
        if value is not None and value not in classes:
            words = f"one of {list(classes)}" if classes else "none of a regression"
            raise ConfigError(f"{at}.{key}", words, show(value), did_you_mean(value, map(str, classes)))


def _column(name: str, dataset: Dataset, key: str) -> Column:
    column = dataset.columns.get(name)
    if column is None:
        do = did_you_mean(name, dataset.columns)
        raise ConfigError(key, f"a column of dataset {dataset.name}", show(name), do)
    if column.known == "later":
        raise ConfigError(key, "a column known at the event", f"{show(name)}, known later", "choose another")
    return column


_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "category": ("text", (str,)),
    "text": ("text", (str,)),
    "boolean": ("true or false", (bool,)),
    "timestamp": ("an instant with its zone, such as 2024-05-01T12:00:00Z", (datetime,)),
}


def _allowed(value: object, name: str, dataset: Dataset, key: str) -> None:
    """Refuse what the contract would refuse: such a row would never reach the model."""
    column = _column(name, dataset, key)
    if value is None:
        if not column.nullable:
            raise ConfigError(key, "a value: the contract allows no null", "null", "give one")
        return
    words, types = _TYPES[column.type]
    fits = isinstance(value, types) and (isinstance(value, bool) == (column.type == "boolean"))
    if isinstance(value, float) and not math.isfinite(value):
        fits = False
    if isinstance(value, datetime) and value.tzinfo is None:
        fits = False
    if not fits:
        raise ConfigError(key, f"{words}, as column {name} has", show(value), "correct the value")
    if isinstance(value, int | float):
        if column.min is not None and value < column.min:
            raise ConfigError(key, f"at least {column.min:g}, the contract's min", show(value), "correct the value")
        if column.max is not None and value > column.max:
            raise ConfigError(key, f"at most {column.max:g}, the contract's max", show(value), "correct the value")
    if isinstance(value, str):
        if column.values and value not in column.values:
            known = ", ".join(column.values)
            raise ConfigError(key, f"one of {known}", show(value), did_you_mean(value, column.values))
        if column.pattern and not re.fullmatch(column.pattern, value):
            raise ConfigError(key, f"text like {column.pattern}", show(value), "correct the value")
