"""Numbers, dates and names as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date
from typing import Final

NOTHING: Final = "–"
"""What stands where there is no number."""

NO_BREAK: Final = "\N{NO-BREAK SPACE}"

METRIC_NAMES: Final = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "f1": "F1",
    "kpi": "KPI",
    "r2": "R²",
    "mae": "MAE",
    "rmse": "RMSE",
}
_METRIC = re.compile(r"\b(" + "|".join(METRIC_NAMES) + r")\b")

_MINUS = re.compile(r"(?<=\s)-(?=\d)")


def metric_name(key: str) -> str:
    """The name of a metric inside a sentence.

    >>> metric_name("roc_auc"), metric_name("hit_rate")
    ('ROC AUC', 'hit rate')
    """
    return METRIC_NAMES.get(key, key.replace("_", " "))


def first_upper(text: str) -> str:
    """The text with a capital at its start, the rest as it is.

    >>> first_upper("log loss"), first_upper("ROC AUC"), first_upper("")
    ('Log loss', 'ROC AUC', '')
    """
    return text[:1].upper() + text[1:]


def gate_reason(reason: str) -> str:
    """A reason of the gate with metrics by their names and true minus signs.

    >>> gate_reason("roc_auc: gain +0.0213 over the champion, at least -0.0012")
    'ROC AUC: gain +0.0213 over the champion, at least −0.0012'
    """
    return _MINUS.sub("−", _METRIC.sub(lambda m: METRIC_NAMES[m.group()], reason))


def decimals(values: Iterable[float]) -> int:
    """Places after the point, 0 to 6, that show two digits of the spread of `values`.

    With no spread, three digits of the largest. NaN and infinities are left out; of nothing, 0.

    >>> decimals([0.675, 0.711]), decimals([45.2, 44.1]), decimals([12100.0, 13400.0]), decimals([0.7112])
    (3, 1, 0, 3)
    """
    finite = [v for v in values if math.isfinite(v)]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    largest = max((abs(v) for v in finite), default=0.0)
    # A spread of rounding errors is none.
    if spread > 1e-9 * largest:
        return min(max(1 - math.floor(math.log10(spread)), 0), 6)
    return min(max(2 - math.floor(math.log10(largest)), 0), 6) if largest else 0


def number(value: float, places: int = 0, *, sign: bool = False) -> str:
    """A number with grouped thousands and a true minus; a dash if it is not finite.

    >>> number(-1234.5678, 1), number(0.0361, 3, sign=True), number(-0.0001, 2), number(float("nan"))
    ('−1,234.6', '+0.036', '0.00', '–')
    """
    if not math.isfinite(value):
        return NOTHING
    rounded = round(value, places) + 0.0
    return f"{rounded:{'+' if sign and rounded else ''},.{places}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share as a percentage that does not break: whole above 10 %, a tenth below.

    >>> [percent(s).replace(NO_BREAK, " ") for s in (0.918, 0.0423, -0.3, 0.9997, float("nan"))]
    ['92 %', '4.2 %', '−30 %', '99.9 %', '–']
    """
    if not math.isfinite(share):
        return NOTHING
    places = 0 if abs(share) >= 0.0995 or share == 0 else 1
    if 0.995 <= share < 1:
        # Almost all is not all.
        share, places = min(share, 0.999), 1
    return f"{number(100 * share, places)}{NO_BREAK}%"


def count(n: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> count(1, "retrain"), count(12345, "row"), count(0, "promotion")
    ('1 retrain', '12,345 rows', '0 promotions')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Parts joined by commas and a last "and".

    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', '')
    """
    *head, last = [*parts] or [""]
    return f"{', '.join(head)} and {last}" if head else last


def duration(seconds: float) -> str:
    """
    >>> duration(42.4), duration(271), duration(4000)
    ('42 s', '4 min 31 s', '1 h 7 min')
    """
    if not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def as_day(text: object) -> date | None:
    """The date of a window's id; None if it is none."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def day_name(window: object) -> str:
    """A window with its weekday; what is no date stays as it is.

    >>> day_name("2013-06-04"), day_name("soon")
    ('Tue 4 Jun 2013', 'soon')
    """
    day = as_day(window)
    return f"{day:%a} {short_day(day)}" if day else plain(window)


def short_day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def month_name(month: str) -> str:
    """
    >>> month_name("2013-06"), month_name("first")
    ('Jun 2013', 'first')
    """
    day = as_day(f"{month}-01")
    return f"{day:%b %Y}" if day else plain(month)


def span_name(first: object, last: object) -> str:
    """
    >>> span_name("2013-03-01", "2013-12-31"), span_name("2013-03-01", "2014-01-01"), span_name("x", "y")
    ('1 March – 31 December 2013', '1 March 2013 – 1 January 2014', 'x – y')
    """
    a, b = as_day(first), as_day(last)
    if a is None or b is None:
        return f"{plain(first)} – {plain(last)}"
    if a == b:
        return f"{a.day} {a:%B %Y}"
    year = "" if a.year == b.year else f" {a.year}"
    return f"{a.day} {a:%B}{year} – {b.day} {b:%B %Y}"


def plain(text: object) -> str:
    """Text from outside that no spreadsheet takes for a formula when a cell is copied into it.

    >>> plain("=cmd|' /C calc'!A0"), plain("too few rows")
    ("'=cmd|' /C calc'!A0", 'too few rows')
    """
    out = str(text)
    return f"'{out}" if out.lstrip()[:1] in {"=", "+", "-", "@"} and out.strip() else out
