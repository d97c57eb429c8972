"""What people are told of alarms: plain words for a person, JSON for a machine, nothing personal in either."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tidegate.alarms.words import CAUSES, happened
from tidegate.text import printable
from tidegate.verdicts import Alarm, Severity

SHOWN = 8
"""Alarms that one message spells out."""
CUT = "… cut"


@dataclass(frozen=True, slots=True)
class Said:
    """One alarm of a message, with the model that saw it."""

    model: str
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Message:
    """One message about one incident, or a day's digest.

    ``follow_up``: the channel has been told of the incident before; ``reminder``: how many times nobody answered;
    ``link``: address of the pages, empty if there is none; ``note``: what to say besides.
    """

    severity: Severity
    group: str
    said: tuple[Said, ...]
    incident: int | None = None
    follow_up: bool = False
    reminder: int = 0
    link: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        """One line: how loud, which incident, about what."""
        if not self.said:
            return f"TEST for {printable(self.group)}"
        if self.incident is None and (self.severity == "digest" or len(self.said) > 1):
            return f"{self.severity.upper()} for {printable(self.group)}: {len(self.said)} lines"
        about = printable(self.said[0].alarm.about)
        more = ", reminder" if self.reminder else ", more of it" if self.follow_up else ""
        number = f"incident {self.incident}{more}: " if self.incident is not None else ""
        return f"{self.severity.upper()} {number}{about}"


def discreet(alarm: Alarm, personal: Collection[str] | None) -> Alarm:
    """The alarm without values of personal columns: where it names one, what it says is said without details.

    Parameters
    ----------
    personal : collection of str
        Columns that are not kept as they are (`privacy` in the contract); None if that is not known, and then no
        details are given. No column of them named: the alarm itself.

    Examples
    --------
    >>> seen = Alarm("2024-01-02", "feature", "zip [zip=10115]", "page", "2024-01-01", "zip [zip=10115] drifted", "",
    ...              cause="population", members=("zip [zip=10115]",))
    >>> discreet(seen, {"zip"}).text
    'zip drifted, since 2024-01-01. Suspected cause: other cases come in than the model learned from.'
    """
    everything = " ".join((alarm.text, alarm.subject, alarm.effect, *alarm.members))
    if personal is None:
        named = sorted({m.split(" [", 1)[0] for m in alarm.members})
    else:
        named = [c for c in sorted(personal) if _names(everything, c)]
    if personal is not None and not named:
        return alarm
    cause = f" Suspected cause: {CAUSES[alarm.cause]}." if alarm.cause else ""
    text = f"{happened(alarm.monitor, ', '.join(named))}, since {alarm.since}.{cause}"
    effect = "" if personal is None or any(_names(alarm.effect, c) for c in named) else alarm.effect
    return replace(alarm, subject=", ".join(named), text=text, effect=effect, members=tuple(named))


def _names(text: str, column: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", text) is not None


def as_text(message: Message, delivery: str, longest: int, markup: Literal["text", "markdown"] = "text") -> str:
    """The message for people: what happened, how bad, what to do, where to look; at most `longest` bytes.

    Text that came from data can neither mention people nor make links, and in Markdown it stays text. The last line
    has the delivery's number, by which somebody sees that the same message came twice.
    """
    tame = _markdown if markup == "markdown" else harmless
    lines: list[str] = [tame(message.note), ""] if message.note else []
    for one in message.said[:SHOWN]:
        alarm = one.alarm
        lines += [f"{tame(one.model)}, {alarm.window}: {tame(alarm.text)}"]
        lines += [f"How bad: {tame(alarm.effect)}"] if alarm.effect else []
        lines += [f"No page because: {tame(alarm.why_not_page)}"] if alarm.why_not_page else []
        if message.severity != "digest":
            lines += [f"To do: {tame(alarm.next_command)}", f"Runbook: {tame(alarm.runbook)}"]
        lines.append("")
    if len(message.said) > SHOWN:
        lines += [f"And {len(message.said) - SHOWN} more: tidegate alarms", ""]
    lines += [f"{name}: {text}" for name, text in links(message).items()]
    tail = f"\nTidegate {delivery[:16]}"
    return _shortened("\n".join(lines).strip(), longest - len(tail.encode())) + tail


def as_json(message: Message, delivery: str, longest: int) -> bytes:
    """The message for machines, at most `longest` bytes: what does not fit is left out from the end, and counted.

    The same message gives the same bytes.
    """
    keys = ("window", "severity", "about", "cause", "subject", "text", "since", "size", "effect", "why_not_page",
            "next_command", "runbook")  # fmt: skip
    said: list[dict[str, Any]] = [
        {"model": s.model, **{k: getattr(s.alarm, k) for k in keys}} for s in message.said
    ]  # fmt: skip
    body: dict[str, Any] = {
        "id": delivery, "severity": message.severity, "group": message.group, "title": message.title,
        "incident": message.incident, "follow_up": message.follow_up, "reminder": message.reminder,
        "note": message.note, "alarms": said, "left_out": 0, "links": links(message),
    }  # fmt: skip
    while len(out := json.dumps(body, ensure_ascii=False, allow_nan=False).encode()) > longest and said:
        if len(said) == 1 and len(said[0]["text"].encode()) > 200:
            said[0] |= {k: _shortened(said[0][k], 200) for k in ("text", "effect", "why_not_page", "subject")}
            continue
        said.pop()
        body["left_out"] += 1
    return out


def links(message: Message) -> Mapping[str, str]:
    """Where to look: the incident, how to take it on, the pages."""
    out = {}
    if message.incident is not None:
        out["Incident"] = f"tidegate incident show {message.incident}"
        out["Take it on"] = f"tidegate incident ack {message.incident} --by YOU"
    if message.link:
        out["Page"] = f"{message.link.rstrip('/')}/engineering.html"
    return out


def harmless(text: str) -> str:
    """Text from data for a chat or a mail: no control characters, nobody mentioned, no link.

    Examples
    --------
    >>> harmless("@all see http://x").replace(chr(0x200B), "|")
    '@|all see http:|//x'
    """
    return printable(text).replace("@", "@\u200b").replace("://", ":\u200b//")


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~])", r"\\\1", harmless(text))


def _shortened(text: str, longest: int) -> str:
    data = text.encode()
    if len(data) <= longest:
        return text
    return data[: max(longest - len(CUT.encode()), 0)].decode(errors="ignore") + CUT


def message_of(
    severity: Severity, group: str, said: Sequence[Said], personal: Mapping[str, Collection[str] | None], **more: Any
) -> Message:
    """A message of alarms; `personal` has each model's personal columns, as for `discreet`, and unknown is None."""
    told = tuple(Said(s.model, discreet(s.alarm, personal.get(s.model))) for s in said)
    return Message(severity, group, told, **more)


__all__ = ["Message", "Said", "as_json", "as_text", "discreet", "harmless", "links", "message_of"]
