"""What stands above the charts of a drift report: what was compared, by which limits, and what was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tidegate.config.model import Monitors


@dataclass(frozen=True)
class Head:
    """The facts of a report. `rows` and `reference_rows` are (drawn, of), `nights` (read, of)."""

    model: str
    window: str
    version: int
    limits: Monitors
    rows: tuple[int, int]
    reference_rows: tuple[int, int]
    nights: tuple[int, int]
    trained: tuple[str, str]
    cap: int
    seed: int
    compared: int
    notes: Sequence[str]
    left_out: Mapping[str, str]

    def html(self, drifted: Sequence[str]) -> str:
        """The head as HTML, everything in it escaped."""
        return _template().render(**vars(self), drifted=drifted)


@cache
def _template() -> Template:
    made = Environment(loader=PackageLoader("tidegate.report"), autoescape=True, undefined=StrictUndefined)
    made.filters["count"] = "{:,}".format
    return made.get_template("drift_head.html.j2")
