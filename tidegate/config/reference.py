"""Renders docs/config.md from the configuration models: ``python -m tidegate.config.reference > docs/config.md``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as at
from pydantic.fields import FieldInfo

from tidegate.config.base import Rule, Settings
from tidegate.config.check import inner
from tidegate.config.dataset import Dataset
from tidegate.config.explain import plain
from tidegate.config.model import METRICS, Model
from tidegate.config.platform import Platform
from tidegate.config.yamlfile import MAX_ALIASES, MAX_BYTES, MAX_DEPTH

_INTRO = f"""\
# Configuration

A home is a folder with `configs/tidegate.yaml`. It is found by `--home`, then by `TIDEGATE_HOME`, then upward from \
the current folder. Datasets are in `configs/datasets/<name>.yaml`, models in `configs/models/<name>.yaml`; a name is \
1 to 64 lower-case letters, digits, `_` or `-`. A model inherits `defaults` of `configs/tidegate.yaml` key by key; \
`tidegate config explain MODEL` says where each value came from.

Files are plain YAML without tags: at most {MAX_BYTES // 1024} KiB, {MAX_ALIASES} aliases and {MAX_DEPTH} levels, \
every key once. Unknown keys are errors. Numbers are finite and written without quotes, with a point where they have \
an exponent (`1.0e-3`); yes, no, on and off are booleans to YAML, so a category `NO` needs quotes.

This page is made by `python -m tidegate.config.reference > docs/config.md`.
"""

_DATASET = """\
source: {files: "data/{date}.csv"}
event_time: sold_at
key: [order]
calendar: {time_zone: Europe/Berlin}
columns:
  order: {type: text, nullable: false}
  sold_at: {type: timestamp, nullable: false}
  price: {type: number, min: 0, unit: EUR}
  shop: {type: category, values: [north, south]}
  returned: {type: boolean, known: later}
"""

_MODEL = """\
dataset: sales
kind: binary
label:
  column: returned
  source: {files: "labels/{date}.csv"}
  delay: 14d
  classes: [true, false]
  positive: true
estimator: {build: "returns.model:build"}
features: [price, shop]
metric:
  primary: roc_auc
  must_hold: {log_loss: 0.01}
kpi: {unit: EUR, true_positive: 4, false_positive: -1, false_negative: -6}
"""

_TYPES: dict[Any, str] = {str: "text", float: "number", int: "whole number", bool: "true or false", Any: "any"}
_BOUNDS = ((at.Gt, "gt", "> {}"), (at.Ge, "ge", ">= {}"), (at.Lt, "lt", "< {}"), (at.Le, "le", "<= {}"),
           (at.MinLen, "min_length", "at least {} long"), (at.MaxLen, "max_length", "at most {} long"))  # fmt: skip


def reference() -> str:
    """The page: every key of the three files, with type, default, bounds and description."""
    metrics = "".join(f"- {kind}: {', '.join(f'`{m}`' for m in names)}\n" for kind, names in METRICS.items())
    return "\n".join(
        [
            _INTRO,
            "## configs/tidegate.yaml\n",
            _table(Platform),
            "## configs/datasets/&lt;name&gt;.yaml\n",
            f"`configs/datasets/sales.yaml`, say:\n\n```yaml\n{_DATASET}```\n",
            _table(Dataset),
            "## configs/models/&lt;name&gt;.yaml\n",
            f"`configs/models/returns.yaml`, say:\n\n```yaml\n{_MODEL}```\n",
            _table(Model),
            f"`metric.primary` and `metric.must_hold` name metrics of the model's kind:\n\n{metrics}",
        ]
    ).rstrip() + "\n"  # fmt: skip


def keys(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a model, dotted, with its field; groups come before what is in them."""
    for attribute, field in kind.model_fields.items():
        name = field.alias or attribute
        below, mapping = inner(field.annotation)
        yield prefix + name, field
        if below:
            part = "<n>." if get_origin(field.annotation) is tuple else "<name>." if mapping else ""
            yield from keys(below, f"{prefix}{name}.{part}")


def _table(kind: type[Settings]) -> str:
    lines = ["| Key | Type | Default | Bounds | Description |", "|---|---|---|---|---|"]
    for key, field in keys(kind):
        cells = (f"`{key}`", _type(field), _default(key, field), ", ".join(_bounds(field.metadata, field.annotation)),
                 field.description or "")  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _type(field: FieldInfo) -> str:
    return _rule(field.metadata) or _words(field.annotation)


def _rule(metadata: Iterable[Any]) -> str:
    return next((m.short for m in metadata if isinstance(m, Rule)), "")


def _words(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _rule(args[1:]) or _words(args[0])
    if origin in (Union, UnionType):
        return " or ".join(_words(a) for a in args if a is not type(None))
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in args)
    if origin is tuple:
        return f"list of {_words(args[0])}" if args[-1] is Ellipsis else f"list of {len(args)}: {_words(args[0])}"
    if origin is dict:
        return f"mapping to {_words(args[1])}"
    return "group" if inner(annotation)[0] else _TYPES[annotation]


def _default(key: str, field: FieldInfo) -> str:
    if key == "name":
        return "the file's"
    if field.is_required():
        return "required"
    if inner(field.annotation)[0]:
        return ""
    default = field.get_default(call_default_factory=True, validated_data={})
    return "none" if default is None else f"`{json.dumps(plain(default))}`".replace('"', "")


def _bounds(metadata: list[Any], annotation: Any) -> Iterator[str]:
    for limit in metadata:
        if isinstance(limit, FieldInfo):
            yield from _bounds(limit.metadata, None)
        for kind, name, words in _BOUNDS:
            if isinstance(limit, kind):
                yield words.format(plain(getattr(limit, name)))
    # The bounds of the values of a mapping, or of a value that may be left out.
    for part in get_args(annotation):
        if get_origin(part) is Annotated:
            yield from _bounds(list(get_args(part)[1:]), None)


if __name__ == "__main__":
    print(reference(), end="")
