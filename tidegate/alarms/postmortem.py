"""The draft of a postmortem in Markdown: what is known is filled in, what only people know is left to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.alarms.incidents import ITSELF, Incident
from tidegate.alarms.timeline import Entry
from tidegate.alarms.told import days
from tidegate.alarms.words import CAUSES
from tidegate.gate.form import plain
from tidegate.verdicts import Alarm

BLANK = "_to be filled in_"
QUESTIONS = (
    "What was the cause, and how is that known?",
    "Why was it not found earlier?",
    "What kept it from being worse?",
    "What will keep it from coming back, who does it, until when?",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an incident.

    ``rows`` and ``nights`` are those that were scored from its first sign to its last; ``known_at`` is when the
    window of the first sign had ended and when people were first told, None where that never happened; ``commands``
    show the evidence again, ``links`` are names and where they lead.
    """

    incident: Incident
    alarms: Sequence[Alarm]
    timeline: Sequence[Entry]
    nights: int = 0
    rows: int = 0
    began: datetime | None = None
    raised: datetime | None = None
    told: datetime | None = None
    taken: datetime | None = None
    commands: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = field(default=())


def postmortem(e: Evidence, now: datetime) -> str:
    """The document. Everything that came from data or people is dead in Markdown and HTML.

    Its sections: summary, impact, detection, timeline, what was done, what changed before, open questions, how to
    see the evidence again, links.
    """
    i = e.incident
    lines = [f"# Postmortem of incident {i.number}: {plain(i.about)}", "",
             f"Draft of {now.isoformat(timespec='minutes')}, made by `tidegate incident postmortem {i.number}`; "
             f"the incident is {i.status}.", "", "## Summary", "", plain(i.text), "",
             f"- Suspected cause: {i.cause}, {CAUSES[i.cause]}. Found cause: {BLANK}",
             f"- Severity: {i.severity}. Owners: {plain(', '.join(i.groups) or i.group)}", ""]  # fmt: skip
    lines += ["## Impact", "", *_impact(e), "", "## Detection", "", *_detection(e), ""]
    lines += ["## Timeline", "", "| Window | Known at | What | Where to look |", "|---|---|---|---|"]
    lines += [f"| {t.window} | {t.at} | {t.matter}: {plain(t.words)} | {_code(t.reference)} |" for t in e.timeline]
    done = [t for t in e.timeline if t.matter == "incident" and not _ours(t)] + [
        t for t in e.timeline if t.matter == "model" and t.window >= i.opened and t.at
    ]
    lines += ["", "## What was done", "", *_list(done, "nothing is recorded")]
    before = [t for t in e.timeline if t.matter != "incident" and t.window <= i.opened]
    lines += ["", "## What changed before, or on the night", "", *_list(before, "nothing that is recorded"), ""]
    lines += ["## Open questions", ""]
    for question in QUESTIONS:
        lines += [f"- {question}", "", f"  {BLANK}", ""]
    lines += ["## See the evidence again", "", "```sh", *(" ".join(c.split()) for c in e.commands), "```", ""]
    lines += ["## Links", "", *(f"- {plain(name)}: {_code(where)}" for name, where in e.links)]
    return "\n".join(lines).rstrip() + "\n"


def _impact(e: Evidence) -> list[str]:
    i = e.incident
    nights = days(i.since, i.last) + 1
    out = [f"- From {i.since} to {i.last}: {nights} {'night' if nights == 1 else 'nights'}, {e.nights} of them scored",
           f"- Rows scored in that time: {e.rows:,}"]  # fmt: skip
    effects = list(dict.fromkeys(a.effect for a in e.alarms if a.effect))
    out += [f"- Effect, as estimated on the night: {plain(words)}" for words in effects[-3:]]
    return out if effects else [*out, f"- Effect on the KPI: not estimated by any alarm. {BLANK}"]


def _detection(e: Evidence) -> list[str]:
    i = e.incident
    return [
        f"- First sign: window {i.since}; the alarm is of window {i.opened}, {days(i.since, i.opened)} nights later",
        f"- From the end of the first sign's window to the alarm: {_span(e.began, e.raised)}",
        f"- From the alarm to the first delivered message: {_span(e.raised, e.told)}",
        f"- From the alarm to somebody taking it on: {_span(e.raised, e.taken)}",
    ]


def _span(start: datetime | None, end: datetime | None) -> str:
    """A length of time in the unit that a person would use."""
    if start is None or end is None:
        return "never, or not recorded"
    seconds = (end - start).total_seconds()
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _list(entries: Sequence[Entry], otherwise: str) -> list[str]:
    return [f"- {t.window}: {t.matter}: {plain(t.words)}" for t in entries] or [f"- {otherwise}. {BLANK}"]


def _ours(entry: Entry) -> bool:
    """Whether Tidegate itself did it."""
    return entry.what.partition(":")[0].endswith(f" by {ITSELF}")


def _code(text: str) -> str:
    # A backtick or a bar would end the code or the cell.
    return f"`{text.replace('`', '').replace('|', '/')}`" if text else ""


__all__ = ["Evidence", "postmortem"]
