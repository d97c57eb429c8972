"""The words of a gate's evidence page: its verdict, what each check asks, how a line is called."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.report.words import (
    METRIC_NAMES,
    NO_BREAK,
    NOTHING,
    count,
    decimals,
    first_upper,
    gate_reason,
    listed,
    number,
    plain,
    span_name,
)

CHECKS: Final = {
    "performance": "Is the candidate better on what counts, and no worse on the guardrails?",
    "segments": "Does any part of the rows come off worse than before?",
    "calibration": "Do its scores mean what they say?",
    "fairness": "Are the protected groups treated alike?",
    "robustness": "Does it bear what inputs can bring, without a leak, without poisoned labels?",
    "servability": "Does it serve in a fresh process, with only what was recorded?",
}
"""What each check asks."""

OUTCOMES: Final = {
    "pass": "passed",
    "fail": "failed",
    "inconclusive": "not enough evidence",
    "unasked": "not asked",
}

ROLES: Final = {
    "better": "Better on what counts: proven above the limit",
    "guardrail": "Guardrails: a worsening beyond the limit is ruled out",
    "other": "The rest: fails only when proven worse",
    "priced": "Traded off and priced by the KPI: shown, decides nothing",
    "segment": "By segment",
    "calibration": "Calibration",
    "fairness": "Fairness",
    "robustness": "Disturbed inputs",
    "leakage": "Leakage",
    "poisoning": "Poisoning",
    "servability": "In a fresh process",
    "digests": "Digests",
    "shown": "Shown, decides nothing",
}
"""Headings of the lines of one role."""

TINY: Final = 1e-4
GAINS: Final = ("better", "guardrail", "other", "priced")
_NAMES: Final = METRIC_NAMES | {"ece": "ECE", "delong": "DeLong", "mcnemar": "McNemar"}
_MINUS = re.compile(r"(?<=[(\s])-(?=\d)")
_CRITERIA = re.compile(r"\b(demographic_parity|equalized_odds|four_fifths)\b")
_KNOWN = re.compile(r"\b(" + "|".join(re.escape(n) for n in _NAMES) + r")\b")


@dataclass(frozen=True)
class Head:
    """A verdict of a few words, what it rests on, and its reasons."""

    outcome: str
    verdict: str
    lead: str
    reasons: tuple[str, ...]


def outcome_of(check: Mapping[str, Any]) -> str:
    """``pass``, ``fail``, ``inconclusive``, or ``unasked`` for a check that the model file does not ask for."""
    outcome = str(check["outcome"]) if check["asked"] else "unasked"
    return outcome if outcome in OUTCOMES else "inconclusive"


def head(document: Mapping[str, Any]) -> Head:
    """What the gate said, in plain words.

    Examples
    --------
    >>> rows = {"n": 1200, "n_eff": 60.0, "blocks": 14, "block_nights": 3, "first": "2013-04-02", "last": "2013-05-13"}
    >>> check = {"name": "segments", "outcome": "fail", "asked": True, "reasons": ["JFK: worse"]}
    >>> said = head({"verdict": {"outcome": "fail", "reasons": ["segments: JFK: worse"]}, "version": 3, "against": 2,
    ...              "look": 1, "looks": 3, "rows": rows, "checks": [check], "model": {"promotion": "approve"}})
    >>> said.verdict, said.reasons
    ('Version 3 is not promoted: it failed on segments.', ('Segments: JFK: worse',))
    >>> print(said.lead.replace(". ", ".\\n"))
    Judged against version 2, the champion, on 1,200 rows of 2 April – 13 May 2013 that neither was trained on.
    Rows of one night resemble each other: they count as about 60 independent ones, in 14 blocks of 3 nights.
    """
    verdict = document["verdict"]
    outcome = verdict["outcome"] if verdict["outcome"] in OUTCOMES else "inconclusive"
    made = [c["name"] for c in document["checks"] if c["asked"] and c["outcome"] == outcome]
    where = listed(made)
    who = f"Version {document['version']}"
    last = document["look"] >= document["looks"]
    if outcome == "pass":
        may = "may be the first champion" if document["against"] is None else "may replace the champion"
        agree = "" if document["model"]["promotion"] == "automatic" else ", once a person agrees"
        said = f"{who} {may}{agree}."
    elif outcome == "fail":
        said = f"{who} is not promoted" + (f": it failed on {where}." if where else ".")
    else:
        of = f" on {where}" if where else ""
        said = f"{who} is not promoted" + (
            f": after its last look there is still not enough evidence{of}."
            if last
            else f" yet: there is not enough evidence{of}."
        )
    reasons = tuple(reason_words(r) for r in verdict.get("reasons") or ())
    return Head(outcome, said, _lead(document), reasons)


def _lead(document: Mapping[str, Any]) -> str:
    rows, against = document["rows"], document["against"]
    other = f"version {against}, the champion," if against is not None else "a baseline, as there is no champion yet,"
    if not rows["n"]:
        return f"There was no labelled row to judge it against {other.rstrip(',')} on."
    unseen = "that neither was trained on" if against is not None else "that its scoring members were not trained on"
    nights = f" of {span_name(rows['first'], rows['last'])}" if rows["first"] else ""
    said = f"Judged against {other} on {count(rows['n'], 'row')}{nights} {unseen}."
    blocks = count(rows["blocks"], "block") + f" of {count(rows['block_nights'], 'night')}"
    if rows["n_eff"] is None:
        return f"{said} They lie in {blocks}; how many independent rows they count as is not known."
    return (
        f"{said} Rows of one night resemble each other: they count as about {number(rows['n_eff'])} independent ones, "
        f"in {blocks}."
    )


def reason_words(reason: object) -> str:
    """A reason as a sentence starts, with metrics by their names.

    Examples
    --------
    >>> reason_words("roc_auc: gain -0.01"), reason_words("=1+1")
    ('ROC AUC: gain −0.01', "'=1+1")
    """
    words = _CRITERIA.sub(lambda m: m.group().replace("_", " "), gate_reason(str(reason)))
    return plain(_MINUS.sub("−", first_upper(words)))


def own_reason(line: Mapping[str, Any]) -> str:
    """A line's reason without the name that stands beside it.

    Examples
    --------
    >>> own_reason({"name": "noise", "reason": "noise: loss +2 %"}), own_reason({"name": "x", "reason": "x: +2 %"})
    ('Loss +2 %', 'X: +2 %')
    """
    rest = str(line["reason"]).removeprefix(f"{line['name']}: ")
    return reason_words(rest if rest[:1].isalnum() else line["reason"])


def line_name(name: str) -> tuple[str, str]:
    """What a line measured, and where: the part in brackets.

    Examples
    --------
    >>> line_name("log_loss [origin=JFK]"), line_name("noise"), line_name("roc_auc: DeLong")
    (('Log loss', 'origin = JFK'), ('Noise', ''), ('ROC AUC: DeLong', ''))
    """
    what, _, where = name.partition(" [")
    words = _KNOWN.sub(lambda m: _NAMES[m.group()], what)
    return plain(first_upper(words.replace("_", " "))), plain(where.removesuffix("]").replace("=", " = ", 1))


def figure(value: float | None, places: int, *, sign: bool = False) -> str:
    """A number of the document, a dash for none; what the places would show as 0 in powers of ten.

    Examples
    --------
    >>> figure(0.0213, 3, sign=True), figure(3.1e-16, 5), figure(None, 2), figure(0.0, 2)
    ('+0.021', '3.1e−16', '–', '0')
    """
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) < 0.5 * 10.0**-places and abs(value) < TINY:
        return f"{value:.2g}".replace("e-0", "e-").replace("-", "−")
    return number(value, places, sign=sign)


def places_of(*values: float | None) -> int:
    """Places that tell these apart, at most 5."""
    return min(decimals([v for v in values if v is not None]), 5)


def chance(share: float | None) -> str:
    """A small chance with two digits.

    Examples
    --------
    >>> [chance(s).replace(NO_BREAK, " ") for s in (0.05, 0.00278, 0.0, None)]
    ['5 %', '0.28 %', '0 %', '–']
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    return f"{100 * share:.2g}{NO_BREAK}%".replace("-", "−") if abs(share) < 1 else f"{100 * share:.0f}{NO_BREAK}%"
