"""From a night's signals to alarms: grouped, told once, lowered only with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.alarms.cause import by_cause
from tidegate.alarms.incidents import ITSELF, Event, Incident, Judged, Rules, Scope, Standing, What, days
from tidegate.alarms.severity import LOUDNESS, Graded, graded
from tidegate.alarms.words import next_command, sentence, size_of, subjects_of
from tidegate.verdicts import Alarm, Cause, Severity, Signal


def raise_alarms(signals: Sequence[Signal], standing: Standing, rules: Rules, window: str) -> list[Alarm]:
    """The alarms of one window; see `judge`."""
    return list(judge(signals, standing, rules, window).alarms)


def judge(signals: Sequence[Signal], standing: Standing, rules: Rules, window: str) -> Judged:
    """What a model's signals on one window come to.

    Signals of one suspected cause are one alarm. A page or ticket opens an incident, or joins
    the one that is open and then says nothing unless it is louder than what was told, a snooze
    is over, or nobody has acknowledged it for a cooldown. An incident closes after
    `close_after` quiet nights; back within the cooldown it is told only if it is louder or a
    fault, or if a person had closed it. What is lowered (freeze, mute, cap, cooldown) says why.

    Parameters
    ----------
    signals : sequence of Signal
        Those of other windows are left out. None at all is a quiet night.
    standing : Standing
        What is known by now. A window that is not newer than the newest one judged is a
        restatement: its alarms are given as they were, and what is new goes to the digest.

    Returns
    -------
    Judged
        The loudest alarm first; the same signals and standing give the same answer.
    """
    tonight = [graded(s, standing.mutes, standing.freezes) for s in signals if s.window == window]
    if window <= standing.newest:
        return _restated(tonight, standing, rules, window)
    night = _Night(standing, rules, window)
    live = {key: i.cause for i in standing.incidents if i.status != "closed" for key in i.keys}
    groups = by_cause(tonight, rules.features, live)
    for cause, found in sorted(groups.items(), key=lambda item: _order(_loudest(item[1]))):
        night.take(cause, sorted(found, key=_order))
    blind = any(g.signal.kind == "fault" for g in tonight)
    if not blind:  # without data nothing is known to be quiet
        night.calm()
    return Judged(tuple(night.alarms), tuple(night.incidents.values()), tuple(night.events))


def _order(g: Graded) -> tuple[int, int, float, str]:
    urgent = {"fault": 0, "harm": 1}.get(g.signal.kind, 2)
    z = abs(g.signal.z)
    return -LOUDNESS[g.severity], urgent, -(0.0 if math.isnan(z) else z), g.signal.key


def _loudest(found: Sequence[Graded]) -> Graded:
    return min(found, key=_order)


def _restated(tonight: Sequence[Graded], standing: Standing, rules: Rules, window: str) -> Judged:
    before = [a for a in standing.alarms if a.window == window]
    known = {key for i in standing.incidents for key in i.keys} | {m for a in before for m in a.members}
    new = [g for g in tonight if LOUDNESS[g.severity] and known.isdisjoint((g.signal.key, g.signal.subject))]
    late = f"restated: nights up to {standing.newest} were judged before"
    groups = by_cause([replace(g, severity="digest", why=late) for g in new], rules.features, {})
    return Judged((*before, *(_alarm(c, sorted(f, key=_order), rules, None, "digest", late)
                              for c, f in groups.items())))  # fmt: skip


@dataclass
class _Night:
    """One window being judged: what is known, and what has come of it so far."""

    standing: Standing
    rules: Rules
    window: str

    def __post_init__(self) -> None:
        self.alarms: list[Alarm] = []
        self.incidents: dict[int, Incident] = {}
        self.events: list[Event] = []
        self.paged = dict(self.standing.paged)
        self.number = self.standing.next_number

    def take(self, cause: Cause, found: Sequence[Graded]) -> None:
        """Tell of one cause's signals, the loudest first, or add them to what was told."""
        severity, why = found[0].severity, found[0].why
        known = self._known(cause)
        if known is None and severity == "digest":
            return self._note(cause, found)
        if known is None:
            severity, why = self._capped(cause, severity, why)
            return self._tell(self._opened(cause, found), found, severity, why, "raised")
        what = self._news(known, found[0])
        joined = self._joined(known, found)
        if what is None:
            return self._keep(joined, known, found)
        if what == "reminded" and known.status == "open" and severity == "page":
            severity, why = "ticket", f"reminder: told on {known.told}, acknowledged by nobody"
        severity, why = self._capped(cause, severity, why)
        if what == "worsened" and LOUDNESS[severity] <= LOUDNESS[known.severity]:
            return self._keep(joined, known, found)  # the cap took what was new: it is told on the next night
        return self._tell(joined, found, severity, why, what)

    def calm(self) -> None:
        """Count a quiet night for the incidents that this model sees and did not see tonight."""
        for i in self.standing.incidents:
            if i.status == "closed" or i.number in self.incidents or self.rules.model not in i.quiet:
                continue
            quiet = {**i.quiet, self.rules.model: i.quiet[self.rules.model] + 1}
            if min(quiet.values()) < self.rules.close_after:
                self.incidents[i.number] = replace(i, quiet=quiet)
                continue
            self.incidents[i.number] = replace(i, quiet=quiet, status="closed", closed=self.window, closed_by=ITSELF)
            self.events.append(Event(i.number, "closed", self.window, note=f"{min(quiet.values())} quiet nights"))

    def _known(self, cause: Cause) -> Incident | None:
        """The incident that is open, or came to rest by itself within the cooldown."""
        same = [i for i in self.standing.incidents if i.cause == cause and (i.scope, i.name) == self._about(cause)]
        rested = [
            i for i in same
            if i.status == "closed" and i.closed_by == ITSELF and days(i.closed, self.window) < self.rules.cooldown
        ]  # fmt: skip
        return max([i for i in same if i.status != "closed"] or rested, key=lambda i: i.number, default=None)

    def _news(self, known: Incident, first: Graded) -> What | None:
        """What is worth telling of an incident that is known already."""
        if known.status == "closed" and first.signal.kind == "fault" and first.severity == "page":
            return "reopened"
        if LOUDNESS[first.severity] > LOUDNESS[known.severity]:
            return "reopened" if known.status == "closed" else "worsened"
        if first.severity == "digest":
            return None
        if known.status == "snoozed" and self.window > known.until:
            return "reminded"
        silent = days(known.told, self.window) >= self.rules.cooldown
        return "reminded" if known.status == "open" and silent else None

    def _opened(self, cause: Cause, found: Sequence[Graded]) -> Incident:
        scope, name = self._about(cause)
        number, self.number = self.number, self.number + 1
        first = Incident(
            number=number, scope=scope, name=name, group=self._group(cause), cause=cause, severity="digest",
            opened=self.window, last=self.window, told="", since=found[0].signal.since, text="",
        )  # fmt: skip
        return self._joined(first, found)

    def _joined(self, known: Incident, found: Sequence[Graded]) -> Incident:
        members = dict.fromkeys([*known.members, *(g.signal.subject for g in found)])
        keys = dict.fromkeys([*known.keys, *(g.signal.key for g in found)])
        quiet = dict.fromkeys([*known.quiet, self.rules.model], 0)
        since = min(known.since, *(g.signal.since for g in found))
        fresh = replace(known, last=self.window, since=since, members=tuple(members), keys=tuple(keys), quiet=quiet)
        return replace(fresh, status="open", closed="", closed_by="") if known.status == "closed" else fresh

    def _keep(self, joined: Incident, known: Incident, found: Sequence[Graded]) -> None:
        """Say nothing to anybody, but keep what came."""
        self.incidents[joined.number] = joined
        added = [m for m in joined.members if m not in known.members]
        if known.status == "closed":
            note = f"back {days(known.closed, self.window)} nights after it came to rest; told on {known.told}"
            self.events.append(Event(joined.number, "reopened", self.window, note=note))
            self.alarms.append(_alarm(joined.cause, found, self.rules, joined, "digest", f"cooldown: {note}"))
        elif added:
            self.events.append(Event(joined.number, "joined", self.window, note=", ".join(added)))

    def _tell(self, incident: Incident, found: Sequence[Graded], severity: Severity, why: str, what: What) -> None:
        alarm = _alarm(incident.cause, found, self.rules, incident, severity, why)
        loudest = max(severity, incident.severity, key=lambda s: LOUDNESS[s])
        self.incidents[incident.number] = replace(
            incident, severity=loudest, told=self.window, text=alarm.text, status="open", until=""
        )
        self.events.append(Event(incident.number, what, self.window, note=f"{severity}: {alarm.text}"))
        self.alarms.append(alarm)
        if severity == "page":
            self.paged[alarm.group] = self.paged.get(alarm.group, 0) + 1

    def _note(self, cause: Cause, found: Sequence[Graded]) -> None:
        """A line in the digest, unless it said the same within the cooldown."""
        told = {
            m for a in self.standing.alarms for m in a.members
            if a.cause == cause and 0 <= days(a.window, self.window) < max(self.rules.cooldown, 1)
        }  # fmt: skip
        if any(g.signal.subject not in told for g in found):
            self.alarms.append(_alarm(cause, found, self.rules, None, "digest", found[0].why))

    def _capped(self, cause: Cause, severity: Severity, why: str) -> tuple[Severity, str]:
        group = self._group(cause)
        cap = self.rules.caps.get(group, 1)
        if severity != "page" or self.paged.get(group, 0) < cap:
            return severity, why
        return "ticket", f"{group} had {cap} pages on this night, its cap"

    def _about(self, cause: Cause) -> tuple[Scope, str]:
        return ("dataset", self.rules.dataset) if cause == "upstream" else ("model", self.rules.model)

    def _group(self, cause: Cause) -> str:
        return self.rules.dataset_group if cause == "upstream" else self.rules.group


def _alarm(
    cause: Cause, found: Sequence[Graded], rules: Rules, incident: Incident | None, severity: Severity, why: str
) -> Alarm:
    signals = [g.signal for g in found]
    first = signals[0]
    effects = sorted((s.effect for s in signals if s.effect), key=lambda e: (not e.material, -abs(e.value)))
    number = incident.number if incident else None
    upstream = cause == "upstream"
    return Alarm(
        window=first.window,
        monitor=first.monitor,
        subject=subjects_of(signals),
        severity=severity,
        since=first.since,
        text=sentence(signals, cause, days(first.since, first.window) + 1),
        next_command=next_command(cause, first, rules.model, rules.dataset, number),
        cause=cause,
        about=f"dataset {rules.dataset}" if upstream else f"model {rules.model}",
        group=rules.dataset_group if upstream else rules.group,
        incident=number,
        size=size_of(first),
        effect=effects[0].words if effects else "",
        runbook=rules.runbook or f"docs/runbooks/{cause}.md",
        members=tuple(dict.fromkeys(s.subject for s in signals)),
        why_not_page="" if severity == "page" else why,
    )
