"""From a night's signals to alarms: grouped, told once, lowered only with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.alarms.cause import by_cause
from tidegate.alarms.incidents import ITSELF, Event, Incident, Judged, Rules, Scope, Standing, What
from tidegate.alarms.severity import BENIGN, LOUDNESS, Graded, graded
from tidegate.alarms.told import Told, after, days, in_run, unheard
from tidegate.alarms.words import next_command, sentence, size_of, subjects_of
from tidegate.decision.effect import PER_ROW
from tidegate.verdicts import Alarm, Cause, Effect, Severity, Signal


def judge(signals: Sequence[Signal], standing: Standing, rules: Rules, window: str, *, between: bool = False) -> Judged:
    """What a model's signals on one window come to.

    Signals of one suspected cause are one alarm; those that cost most come first, which matters
    where a cap leaves room for some. A page or ticket opens an incident, or joins
    the one that is open and then says nothing unless it is louder than what this group was
    told, data is at fault again after a night that was not, something else pages and the group
    has not been woken for a third of the cooldown, a snooze is over, or nobody has acknowledged
    it for a cooldown. An incident closes after `close_after` quiet nights; back within the
    cooldown it is told only if it is louder or a fault, or if a person had closed it. What is
    lowered (freeze, mute, cap, cooldown, lateness) says why.

    Parameters
    ----------
    signals : sequence of Signal
        Those of other windows are left out. None at all is a quiet night.
    standing : Standing
        What is known by now. A window that was judged before is restated: its alarms are given
        as they were, and what is new goes to the digest. One that is judged for the first time
        after a newer one pages for a fault only; the rest is a ticket at most, and no quiet
        night is counted.
    between : bool
        Between nights, on what cannot wait: no quiet night is counted.

    Returns
    -------
    Judged
        The loudest alarm first; the same signals and standing give the same answer.
    """
    tonight = [graded(s, standing.mutes, standing.freezes) for s in signals if s.window == window]
    if standing.judged:
        return _restated(tonight, standing, rules, window)
    night = _Night(standing, rules, window)
    if night.late:
        tonight = [_late(g, standing.newest) for g in tonight]
    live = {key: i.cause for i in standing.incidents if i.status != "closed" for key in i.keys}
    groups = by_cause(tonight, rules.features, live)
    for cause, found in sorted(groups.items(), key=lambda item: _order(_loudest(item[1]))):
        night.take(cause, sorted(found, key=_within))
    blind = any(g.signal.kind == "fault" for g in tonight)
    if not (
        blind or between or night.late
    ):  # without data nothing is known to be quiet; newer nights have been counted
        night.calm()
    return Judged(tuple(night.alarms), tuple(night.incidents.values()), tuple(night.events))


def _order(g: Graded) -> tuple[int, int, float, float, str]:
    """The loudest first: faults and proven harm, then what costs most a row, then what is the farthest off."""
    urgent = {"fault": 0, "harm": 1}.get(g.signal.kind, 2)
    z = abs(g.signal.z)
    return -LOUDNESS[g.severity], urgent, -_cost(g.signal.effect), -(0.0 if math.isnan(z) else z), g.signal.key


def _within(g: Graded) -> tuple[int, int, bool, tuple[int, int, float, float, str]]:
    """The order within one cause: what broke before what came of it, which may well cost more."""
    order = _order(g)
    return *order[:2], g.signal.monitor in ("prediction", "label", "performance"), order


def _cost(effect: Effect | None) -> float:
    """What an effect costs a row, to be held against others of the same model; 0 where that is not known."""
    if effect is None or not effect.estimable or not effect.unit.endswith(PER_ROW) or math.isnan(effect.value):
        return 0.0
    return effect.value


def _loudest(found: Sequence[Graded]) -> Graded:
    return min(found, key=_order)


def _blocked(found: Sequence[Graded]) -> bool:
    """Whether the loudest is a fault that pages."""
    return found[0].signal.kind == "fault" and found[0].severity == "page"


def _late(g: Graded, newest: str) -> Graded:
    if g.signal.kind == "fault" or g.severity == "digest":
        return g
    return replace(g, severity="ticket", why=f"judged late: nights up to {newest} were judged before")


def _restated(tonight: Sequence[Graded], standing: Standing, rules: Rules, window: str) -> Judged:
    before = [a for a in standing.alarms if a.window == window]
    known = {key for i in standing.incidents for key in i.keys} | {m for a in before for m in a.members}
    new = [g for g in tonight if LOUDNESS[g.severity] and known.isdisjoint((g.signal.key, g.signal.subject))]
    late = f"restated: {window} was judged before"
    groups = by_cause([replace(g, severity="digest", why=late) for g in new], rules.features, {})
    return Judged((*before, *(_alarm(c, sorted(f, key=_within), rules, None, "digest", late)
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
        self.before, self.late = self.standing.before(self.window), self.window < self.standing.newest

    def take(self, cause: Cause, found: Sequence[Graded]) -> None:
        """Tell of one cause's signals, the loudest first, or add them to what was told."""
        severity, why = found[0].severity, found[0].why
        known = self._known(cause)
        if known is None and severity == "digest":
            return self._note(cause, found)
        if known is None:
            severity, why = self._capped(cause, severity, why)
            return self._tell(self._opened(cause, found), found, severity, why, "raised")
        told = known.groups.get(self._group(cause), Told())
        what, news = self._news(known, told, found)
        joined = self._joined(known, found)
        if what is None:
            return self._keep(joined, known, found)
        if what == "reminded" and known.status == "open" and severity == "page":
            severity, why = "ticket", f"reminder: told on {known.told}, acknowledged by nobody"
        severity, why = self._capped(cause, severity, why)
        lowered = severity != "page" and LOUDNESS[severity] <= LOUDNESS[told.severity]
        if what == "worsened" and lowered and not _blocked(news):
            return self._keep(joined, known, found)  # the cap took what was new: it is told on the next night
        return self._tell(joined, news, severity, why, what)

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

    def _news(self, known: Incident, told: Told, found: Sequence[Graded]) -> tuple[What | None, Sequence[Graded]]:
        """What is worth telling a group of an incident that is known already, and the signals that it is about."""
        louder = LOUDNESS[found[0].severity] > LOUDNESS[told.severity]
        news = unheard(told, found, self.window, self.before, max(-(-self.rules.cooldown // 3), 1))
        if known.status == "closed":
            again = louder or (_blocked(found) and not self.late)
            return ("reopened" if again or news else None), news or found
        if louder:
            return ("worsened" if self._group(known.cause) in known.groups else "raised"), found
        if news:
            return "worsened", news
        if found[0].severity == "digest":
            return None, found
        over = known.status == "snoozed" and self.window > known.until
        silent = known.status == "open" and days(known.told, self.window) >= self.rules.cooldown
        return ("reminded" if over or silent else None), found

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
        # What a late night saw came before the quiet nights that are counted.
        seen = known.quiet if self.late else dict.fromkeys(known.quiet, 0)
        told, group = dict(known.groups), self._group(known.cause)
        if _blocked(found) and group in told and in_run(told[group], self.window, self.before):
            told[group] = replace(told[group], fault=max(told[group].fault, self.window))
        fresh = replace(
            known, last=max(known.last, self.window), since=min(known.since, *(g.signal.since for g in found)),
            members=tuple(members), keys=tuple(keys), quiet={self.rules.model: 0, **seen}, groups=told,
        )  # fmt: skip
        return replace(fresh, status="open", closed="", closed_by="") if known.status == "closed" else fresh

    def _keep(self, joined: Incident, known: Incident, found: Sequence[Graded]) -> None:
        """Say nothing to anybody, but keep what came."""
        if self.late and known.status == "closed":  # it has come to rest since
            self._note(joined.cause, found)
            return
        self.incidents[joined.number] = joined
        added = [m for m in joined.members if m not in known.members]
        if known.status == "closed":
            note = f"back {days(known.closed, self.window)} nights after it came to rest; told on {known.told}"
            self.events.append(Event(joined.number, "reopened", self.window, note=note))
            self.alarms.append(_alarm(joined.cause, found, self.rules, joined, "digest", f"cooldown: {note}"))
        elif added:
            self.events.append(Event(joined.number, "joined", self.window, note=", ".join(added)))
        elif _blocked(found) and known.last < self.window:
            note = found[0].signal.reason or "still a fault"
            self.events.append(Event(joined.number, "joined", self.window, note=note))

    def _tell(self, incident: Incident, found: Sequence[Graded], severity: Severity, why: str, what: What) -> None:
        alarm = _alarm(incident.cause, found, self.rules, incident, severity, why)
        loudest = max(severity, incident.severity, key=lambda s: LOUDNESS[s])
        groups = {**incident.groups}
        groups[alarm.group] = after(groups.get(alarm.group, Told()), found, self.window, severity)
        self.incidents[incident.number] = replace(
            incident, severity=loudest, told=max(incident.told, self.window), text=alarm.text, status="open", until="",
            groups=groups,
        )  # fmt: skip
        to = f" for {alarm.group}" if alarm.group != incident.group else ""
        self.events.append(Event(incident.number, what, self.window, note=f"{severity}{to}: {alarm.text}"))
        self.alarms.append(alarm)
        if severity == "page":
            self.paged[alarm.group] = self.paged.get(alarm.group, 0) + 1

    def _note(self, cause: Cause, found: Sequence[Graded]) -> None:
        """A line in the digest, unless it said the same within the cooldown."""
        told = {
            m for a in self.standing.alarms for m in a.members
            if a.cause == cause and 0 <= days(a.window, self.window) < max(self.rules.cooldown, 1)
            # That it lasts and is benign is news after a first night of which nothing was known.
            and (not found[0].why.startswith(BENIGN) or a.why_not_page.startswith(BENIGN))
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
    effects = sorted(
        (s.effect for s in signals if s.effect), key=lambda e: (not e.material, not e.estimable, -_cost(e))
    )
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
