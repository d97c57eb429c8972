"""What a person who is asked to approve a version is shown: the verdict as markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tidegate.gate.approval import Said, moment, standing
from tidegate.gate.line import NAMES

MARK = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "❔ inconclusive"}
_LIVE = "\\`*_{}[]<>()#+!|~&"


def plain(text: object) -> str:
    """Text that came from data or from a person, dead in markdown and in HTML.

    Examples
    --------
    >>> plain("origin=<b>|x")
    'origin=&lt;b&gt;\\\\|x'
    """
    dead = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    one_line = " ".join(str(text).split())
    return "".join(dead.get(c, f"\\{c}") if c in _LIVE else c for c in one_line)


def verdict_page(
    model: str,
    record: Mapping[str, Any],
    rows: Sequence[Said],
    champion: int | None,
    now: datetime,
    *,
    frozen: str = "",
) -> str:
    """The verdict on a version in markdown: its checks, the reasons, where the evidence is, what an answer does.

    Parameters
    ----------
    record : mapping
        The version's row: ``version``, ``status``, ``body`` with ``looks``. A look without a record of its checks
        shows the verdict alone.
    rows : sequence of Said
        What people said so far, oldest first.

    Examples
    --------
    >>> from datetime import UTC
    >>> look = {"window": "2024-01-01", "outcome": "pass", "reasons": ["log_loss: better"], "against": 3}
    >>> record = {"version": 4, "status": "challenger", "body": {"looks": [look], "run_id": "r"}}
    >>> print(verdict_page("flights", record, [], 3, datetime(2024, 1, 2, tzinfo=UTC)).splitlines()[0])
    # flights version 4: ✅ pass
    """
    looks = record["body"].get("looks", [])
    if not looks:
        return f"# {plain(model)} version {record['version']}: the gate has not looked at it\n"
    look = looks[-1]
    head = [f"# {plain(model)} version {record['version']}: {MARK.get(look['outcome'], plain(look['outcome']))}", ""]
    head += [f"Look {len(looks)}, on {plain(look['window'])}, against {_name(look.get('against'))}.", ""]
    body = [*_checks(look), *(f"- {plain(reason)}" for reason in look["reasons"]), ""]
    return "\n".join([*head, *body, *_evidence(look, record, len(looks)), *_after(record, rows, champion, now, frozen)])


def _checks(look: Mapping[str, Any]) -> list[str]:
    checks = look.get("checks") or {}
    if not checks:
        return []
    order = [n for n in NAMES if n in checks] + [n for n in checks if n not in NAMES]
    rows = [f"| {plain(name)} | {MARK.get(checks[name], plain(checks[name]))} |" for name in order]
    return ["| Check | Verdict |", "|---|---|", *rows, ""]


def _evidence(look: Mapping[str, Any], record: Mapping[str, Any], count: int) -> list[str]:
    page = str(look.get("page") or "")
    if page.startswith(("http://", "https://", "file://")):
        return [f"[Evidence of this look](<{page.replace('>', '%3E').replace('<', '%3C')}>)", ""]
    run = plain(record["body"].get("run_id", ""))
    return [f"Evidence: `gate_{count}.json` of run {run} in MLflow.", ""]


def _after(
    record: Mapping[str, Any], rows: Sequence[Said], champion: int | None, now: datetime, frozen: str
) -> list[str]:
    said = [f"- {plain(row.words)}" + (f": {plain(row.reason)}" if row.reason else "") for row in rows]
    state = standing(rows, now)
    if state == "requested" and rows[-1].until is not None:
        said.append(f"- without an answer the request lapses on {moment(rows[-1].until)}")
    against = record["body"]["looks"][-1].get("against")
    if against != champion:
        said.append(f"- the champion is {_name(champion)} by now: it cannot go live, retrain instead")
    if frozen:
        said.append(f"- the model is {plain(frozen)}; it cannot go live before that is ended")
    return [*said, ""]


def _name(version: int | None) -> str:
    return f"version {version}" if version is not None else "the baselines, as there was no champion"
