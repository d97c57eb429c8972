"""The sections of a gate's evidence page: lines with whiskers, tables by group, explanations in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from tidegate.report.gatecharts import Whisker, whiskers
from tidegate.report.gatewords import (
    CHECKS,
    GAINS,
    ROLES,
    figure,
    line_name,
    outcome_of,
    own_reason,
    places_of,
    reason_words,
)
from tidegate.report.words import NOTHING, count, decimals, first_upper, listed, number, percent, plain

OPEN: Final = 12
"""Lines of one role that passed and are shown at once; the others are a click away."""
ROW_TESTS: Final = ("delong", "mcnemar")
"""Lines that take rows for independent: told apart from their check."""
_USUAL: Final = {"calibration": "≥"}
_ORDER: Final = {"fail": 0, "inconclusive": 1, "pass": 2}


@dataclass(frozen=True)
class LineRow:
    """One line, as read."""

    name: str
    where: str
    outcome: str
    observed: str
    interval: str
    limit: str
    rows: str
    power: str
    reason: str
    whisker: Whisker | None


@dataclass(frozen=True)
class Group:
    """Lines of one role: those shown at once, and those a click away."""

    heading: str
    lines: tuple[LineRow, ...]
    more: tuple[LineRow, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One check."""

    id: str
    title: str
    asks: str
    outcome: str
    reasons: tuple[str, ...]
    evidence: str
    needed: str
    groups: tuple[Group, ...]
    tables: tuple[Table, ...]


def sections(document: Mapping[str, Any], names: Mapping[str, str]) -> list[Section]:
    """A section for each check; `names` says how ``ours`` and ``theirs`` are called."""
    return [_section(document, check, names) for check in document["checks"]]


def _section(document: Mapping[str, Any], check: Mapping[str, Any], names: Mapping[str, str]) -> Section:
    name = str(check["name"])
    curves = document["shown"].get("curves") or {}
    tables: list[Table] = []
    if name in ("segments", "fairness"):
        columns = curves.get("segments" if name == "segments" else "protected") or ()
        tables += [group_table(c, list(rows), names) for c, rows in groupby(columns, key=lambda r: str(r["column"]))]
    extra = {k: v for k, v in check["extra"].items() if k != "offer"}
    for key, value in extra.items():
        tables += plain_tables(key, value)
    return Section(
        id=f"check-{''.join(c if c.isalnum() else '-' for c in name)}",
        title=plain(first_upper(name)),
        asks=CHECKS.get(name, ""),
        outcome=outcome_of(check),
        reasons=tuple(reason_words(r) for r in check["reasons"]),
        evidence=_rows(check["n"], check["n_eff"]) if check["n"] else "",
        needed=_nights(check["more_nights"]) if check["outcome"] == "inconclusive" and check["asked"] else "",
        groups=line_groups(x for x in check["lines"] if x["name"] not in ROW_TESTS),
        tables=tuple(tables),
    )


def row_tests(document: Mapping[str, Any]) -> tuple[Group, ...]:
    """Row tests, wherever they were recorded."""
    found = [*(document["shown"].get("row_tests") or ())]
    found += [x for c in document["checks"] for x in c["lines"] if x["name"] in ROW_TESTS]
    return line_groups({**x, "role": "shown"} for x in found)


def line_groups(lines: Iterable[Mapping[str, Any]]) -> tuple[Group, ...]:
    """Lines by role in the order they came, the worst first."""
    by_role: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_role.setdefault(str(line["role"]), []).append(line)
    out = []
    for role, lines_of in by_role.items():
        some = sorted(lines_of, key=lambda x: _ORDER.get(str(x["outcome"]), 1))
        sides = _sides(some)
        rows = [_line(x, s, w) for x, s, w in zip(some, sides, whiskers(some, sides), strict=True)]
        shown = max(OPEN, sum(x["outcome"] != "pass" for x in some))
        out.append(
            Group(ROLES.get(role, plain(first_upper(role.replace("_", " ")))), tuple(rows[:shown]), tuple(rows[shown:]))
        )
    return tuple(out)


def wanted(line: Mapping[str, Any]) -> str:
    """On which side of its limit a line must lie: "≥", "≤", or "" where that cannot be told.

    Gains and ratios are to be above it; of other lines the verdict tells, as it was made with the limit.

    Examples
    --------
    >>> line = {"name": "noise", "role": "robustness", "outcome": "pass", "observed": 0.02, "limit": 0.1}
    >>> wanted(line), wanted({**line, "role": "guardrail", "limit": -0.01}), wanted({**line, "limit": None})
    ('≤', '≥', '')
    """
    observed, limit, outcome = line["observed"], line["limit"], line["outcome"]
    if limit is None or line["role"] == "shown":
        return ""
    if line["role"] in GAINS or "four_fifths" in str(line["name"]) or "ratio" in str(line["name"]):
        return "≥"
    if observed is None or observed == limit or outcome == "inconclusive":
        return _USUAL.get(str(line["role"]), "≤")
    return "≥" if (observed > limit) == (outcome == "pass") else "≤"


def _sides(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The side of each line's limit; one that cannot be told is that of the lines of the same measure."""
    sides = [wanted(x) for x in lines]
    known = {str(x["name"]).split(" [", 1)[0]: s for x, s in zip(lines, sides, strict=True) if s}
    return [s or known.get(str(x["name"]).split(" [", 1)[0], "") for x, s in zip(lines, sides, strict=True)]


def _line(line: Mapping[str, Any], side: str, whisker: Whisker | None) -> LineRow:
    observed, low, high, limit = (line[k] for k in ("observed", "lower", "upper", "limit"))
    places, sign = places_of(observed, low, high, limit), line["role"] in GAINS
    ends = [figure(v, places, sign=sign) for v in (low, high)]
    interval = "" if low is None and high is None else f"{ends[0]} to {ends[1]}"
    if interval and NOTHING in ends:
        interval = f"at least {ends[0]}" if high is None else f"at most {ends[1]}"
    name, where = line_name(str(line["name"]))
    return LineRow(
        name=name,
        where=where,
        outcome=line["outcome"] if line["outcome"] in _ORDER else "inconclusive",
        observed=figure(observed, places, sign=sign),
        interval=interval,
        limit="" if limit is None else f"{side} {figure(limit, _enough(limit, places))}".strip(),
        rows=_rows(line["n"], line["n_eff"]) if line["n"] else "",
        power="" if line["power"] is None else percent(line["power"]),
        reason=own_reason(line),
        whisker=whisker,
    )


def _enough(value: float, places: int) -> int:
    """A limit is told in full: 0.005 must not read 0.01."""
    return next((p for p in range(places, 9) if math.isclose(round(value, p), value, rel_tol=1e-9)), max(places, 4))


def _rows(n: int, n_eff: float | None) -> str:
    return f"{n:,}" if n_eff is None else f"{n:,} ≈ {number(n_eff)}"


def _nights(more: float | None) -> str:
    if more is None:
        return "not known"
    whole = math.ceil(more)
    return f"about {count(whole, 'more night')}" if whole <= 366 else "more than a year of nights"


def group_table(column: str, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Table:
    """Both sides by the values of one column."""
    keys = [k for k in rows[0]["ours"] if any(r[s].get(k) is not None for r in rows for s in ("ours", "theirs"))]
    words = {"roc_auc": "ROC AUC", "loss": "mean loss", "score": "mean score", "selected": "selected"}
    header = [first_upper(plain(column)), "Rows", "Share"]
    if "actual" in rows[0]:
        header.append("Came true" if "selected" in rows[0]["ours"] else "Mean actual")
    header += [first_upper(words.get(k, k.replace("_", " "))) for k in keys]
    out = []
    for r in rows:
        cells = [plain(r["value"]), f"{r['n']:,}", percent(r["share"])]
        if "actual" in r:
            cells.append(figure(r["actual"], 3))
        out.append((*cells, *(" / ".join(figure(r[s].get(k), 3) for s in names) for k in keys)))
    return Table(f"By {plain(column)}: {' / '.join(names.values())}", tuple(header), tuple(out))


def plain_tables(title: str, value: Any) -> list[Table]:
    """Whatever was recorded, as tables of texts: single values, rows by key, lists of rows.

    Examples
    --------
    >>> [(t.header, t.rows) for t in plain_tables("price", {"column": "sex", "by": {"f": {"cut": 0.5}}})]
    [(('', ''), (('Column', 'sex'),)), (('By', 'Cut'), (('f', '0.5'),))]
    """
    name = first_upper(plain(title.replace("_", " ")))
    if isinstance(value, Mapping):
        single = {k: v for k, v in value.items() if not _nested(v)}
        rows = {k: v for k, v in value.items() if isinstance(v, Mapping) and not any(map(_nested, v.values()))}
        rest = {k: v for k, v in value.items() if k not in single and k not in rows}
        out = []
        if single:
            out.append(Table(name, ("", ""), tuple((_key(k), _text(v)) for k, v in single.items())))
        columns_of = {k: v for k, v in rest.items() if isinstance(v, list) and v and not any(map(_nested, v))}
        if len(columns_of) > 1 and len({len(v) for v in columns_of.values()}) == 1:
            made = tuple(zip(*([_text(x) for x in v] for v in columns_of.values()), strict=True))
            out.append(Table(name, tuple(map(_key, columns_of)), made))
            rest = {k: v for k, v in rest.items() if k not in columns_of}
        # Rows of the same columns are one table, others one each.
        if rows and (not single or (len({tuple(v) for v in rows.values()}) == 1 and len(rows) > 1)):
            columns = list(dict.fromkeys(k for v in rows.values() for k in v))
            made = tuple((plain(k), *(_text(v.get(c)) for c in columns)) for k, v in rows.items())
            out.append(Table(name, (name, *(_key(c) for c in columns)), made))
        else:
            rest = rows | rest
        return out + [t for k, v in rest.items() for t in plain_tables(str(k), v)]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        if all(isinstance(v, Mapping) for v in value):
            columns = list(dict.fromkeys(k for v in value for k in v))
            made = tuple(tuple(_text(v.get(c)) for c in columns) for v in value)
            return [Table(name, tuple(_key(c) for c in columns), made)]
        return [Table(name, ("",), tuple((_text(v),) for v in value))]
    return []


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str))


def _key(key: object) -> str:
    return first_upper(plain(str(key).replace("_", " ")))


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, Mapping):
        return plain("; ".join(f"{k} {_text(v)}" for k, v in value.items()))
    return plain(", ".join(map(_text, value))) if _nested(value) else plain(value)


@dataclass(frozen=True)
class Bar:
    """A feature's importance; places in per cent of the width."""

    name: str
    text: str
    width: float
    low: float | None
    high: float | None
    stable: str


def importance_bars(found: Iterable[Mapping[str, Any]], key: str) -> list[Bar]:
    """Features by importance, the largest first, with an interval where there is one."""
    rows = sorted((r for r in found if r.get(key) is not None), key=lambda r: -float(r[key]))
    most = max((float(v) for r in rows for v in (r[key], r.get("high")) if v is not None), default=0.0)
    places = min(decimals([0.0, *(float(r[key]) for r in rows)]), 5)

    def at(value: float | None) -> float | None:
        return None if value is None or most <= 0 else round(min(max(100 * value / most, 0.0), 100.0), 2)

    return [
        Bar(plain(r["name"]), number(float(r[key]), places), at(float(r[key])) or 0.0, at(r.get("low")),
            at(r.get("high")), stable_words(r))
        for r in rows
    ]  # fmt: skip


def stable_words(found: Mapping[str, Any]) -> str:
    """Whether a feature's rank is stable, and in what share of the draws it is kept."""
    value, keeps = found.get("stable"), found.get("keeps")
    if value is None:
        return NOTHING
    said = ("yes" if value else "no") if isinstance(value, bool) else percent(float(value))
    return said if keeps is None else f"{said}, {percent(float(keeps))}"


def counterfactual_words(found: Mapping[str, Any]) -> str:
    """A counterfactual as a sentence; one that was not found says so.

    Examples
    --------
    >>> change = {"column": "hour", "from": 18, "to": 9}
    >>> counterfactual_words({"row_id": "a1b2", "score": 0.71, "flipped": 0.43, "changes": [change]})
    'Row a1b2 scored 0.710; it would have been 0.430 if hour had been 9 rather than 18.'
    >>> counterfactual_words({"row_id": "a1b2", "score": 0.71, "flipped": None, "changes": []})
    'Row a1b2 scored 0.710; no small change of it that flips the decision was found.'
    """
    flipped, changes = found.get("flipped"), found.get("changes") or ()
    said = f"Row {str(found.get('row_id'))[:12]} scored {figure(found.get('score'), 3)}"
    if not changes or flipped is None or flipped is False:
        return plain(f"{said}; no small change of it that flips the decision was found.")
    after = found.get("after", flipped)
    turned = "the decision would have flipped" if isinstance(after, bool) else f"it would have been {number(after, 3)}"
    return plain(
        f"{said}; {turned} if "
        + listed(f"{c['column']} had been {_text(c['to'])} rather than {_text(c['from'])}" for c in changes)
        + "."
    )
