"""Ask people about a version, take their answer, and start the rollout that it allows.

The answer is a row in control, whoever wrote it: the command, or the form in the Prefect UI. Nothing waits for it.
The rollout that follows begins at its beginning, so an answer may come as late as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.adapters.approvals import Approvals, Subject
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.gate.approval import Said, answered, moment, not_overridable, skipped, standing
from tidegate.gate.form import verdict_page
from tidegate.lineage.digest import json_digest
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.freeze import frozen
from tidegate.steps.promote import promote, same_champion
from tidegate.steps.reconcile import reconcile
from tidegate.steps.stores import Stores
from tidegate.text import plain_line
from tidegate.windows import Calendar, Window

ASKER = "tidegate"
WAITING = ("candidate", "challenger", "rejected")


@dataclass(frozen=True)
class Asked:
    """What waits for an answer: the version, since when, until when, and what people said so far."""

    model: str
    version: int
    until: datetime
    at: datetime

    @property
    def command(self) -> str:
        """The command that answers."""
        return f"tidegate approve {self.model} {self.version} --by NAME"

    @property
    def words(self) -> str:
        """How long it waits, and how to answer."""
        return f"waits for approval until {moment(self.until)}: {self.command}"


def ask(stores: Stores, model: Model, version: int, now: datetime) -> Asked | None:
    """Ask people about a version that has passed the gate; None if it is not theirs to answer (any more).

    The same request again is the one already there; one that lapsed is made anew.
    """
    record = record_of(stores, model, version)
    if record["status"] != "challenger":
        return None
    rows = Approvals(stores.control, stores.namespace)
    said = Said("request", ASKER, "", now + model.gate.approval_lapses, now, _evidence(record))
    rows.request(_subject(stores, model, version, now), said)
    known = rows.of(model.name, version)
    if not known or standing(known, now) != "requested" or known[-1].until is None:
        return None
    return Asked(model.name, version, known[-1].until, known[-1].known_at)


def approve(stores: Stores, model: Model, version: int, now: datetime, *, by: str, reason: str = "") -> ServingPlan:
    """Approve a challenger, then promote it; an approval whose rollout was cut short is rolled out again.

    Raises
    ------
    UsageError
        If the version is no challenger, somebody has answered already, or the model is frozen.
    PlanConflict
        If the champion is not the one that it was gated against.
    """
    who, why = _words(by, reason, empty=True)
    with stores.leases.waiting(f"approval/{model.name}", model.owner) as lease:
        reconcile(stores, model, now)
        record = record_of(stores, model, version)
        rows = Approvals(stores.control, stores.namespace)
        begun = record["status"] == "challenger" and standing(rows.of(model.name, version), now) == "approved"
        if not begun:
            _waits(stores, model, record, now, "challenger")
            _may_go_live(stores, model, record, now)
            rows.answer(_subject(stores, model, version, now), Said("approve", who, why, None, now, _evidence(record)))
        window = _today(stores, model, now)
        last = rows.of(model.name, version)[-1]
        return promote(stores, model, version, window, now, why={"approval": last.reason}, by=last.by, lease=lease)


def reject(stores: Stores, model: Model, version: int, now: datetime, *, by: str, reason: str) -> Said:
    """Reject a challenger: it stays as it is and never goes live.

    Raises
    ------
    UsageError
        If the version is no challenger, or somebody has answered already.
    """
    who, why = _words(by, reason)
    with stores.leases.waiting(f"approval/{model.name}", model.owner):
        reconcile(stores, model, now)
        record = record_of(stores, model, version)
        said = Said("reject", who, why, None, now, _evidence(record))
        rows = Approvals(stores.control, stores.namespace)
        _waits(stores, model, record, now, "challenger")
        rows.answer(_subject(stores, model, version, now), said)
        stores.records.set_status(model.name, version, "rejected")
    return said


def override(
    stores: Stores, model: Model, version: int, now: datetime, *, by: str, reason: str, until: str
) -> ServingPlan:
    """Promote a version whose last look failed or is inconclusive, on a person's word, until a date.

    Raises
    ------
    UsageError
        If name, reason or expiry are missing, the date is over, the version passed or waits for nobody, somebody has
        answered already, the model is frozen, or servability, leakage or digests are not proven.
    PlanConflict
        If the champion is not the one that it was gated against.
    """
    who, why = _words(by, reason)
    expiry = _calendar(stores, model).window(until)
    if expiry.end <= now:
        raise UsageError("--until", "a date to come", until, "name the last date on which the override holds")
    with stores.leases.waiting(f"approval/{model.name}", model.owner) as lease:
        reconcile(stores, model, now)
        record = record_of(stores, model, version)
        rows = Approvals(stores.control, stores.namespace)
        begun = record["status"] in WAITING and standing(rows.of(model.name, version), now) == "overridden"
        if not begun:
            _waits(stores, model, record, now, *WAITING)
            looks = record["body"]["looks"]
            against = not_overridable(looks[-1] if looks else None)
            if against:
                raise _not(model, version, "evidence of servability, leakage and digests", against)
            _may_go_live(stores, model, record, now)
            about = _evidence(record) | {"skipped": skipped(looks[-1]), "reasons": looks[-1]["reasons"]}
            rows.answer(_subject(stores, model, version, now), Said("override", who, why, expiry.end, now, about))
        said = rows.of(model.name, version)[-1]
        why_live = {"override": said.reason, "until": said.until.isoformat() if said.until else None}
        window = _today(stores, model, now)
        return promote(stores, model, version, window, now, why=why_live, by=said.by, lease=lease)


def loud(stores: Stores, model: Model, now: datetime) -> str:
    """What has to be said of a champion that went live by an override; empty for any other."""
    champion = stores.plans.get(model.name).champion
    rows = Approvals(stores.control, stores.namespace).of(model.name, champion) if champion else ()
    if not rows or rows[-1].what != "override" or rows[-1].until is None:
        return ""
    said = rows[-1]
    gated = ", ".join(said.body.get("skipped", ())) or "the gate"
    day = moment(rows[-1].until)
    if now >= rows[-1].until:
        return f"OVERRIDE of version {champion} expired on {day} ({said.by}: {said.reason}): retrain or roll back"
    return f"OVERRIDE: version {champion} is live without {gated}, by {said.by} until {day}: {said.reason}"


def page(stores: Stores, model: Model, version: int, now: datetime) -> str:
    """What a person is shown of a version, as markdown."""
    rows = Approvals(stores.control, stores.namespace).of(model.name, version)
    champion, stopped = stores.plans.get(model.name).champion, frozen(stores, model, now)
    return verdict_page(model.name, record_of(stores, model, version), rows, champion, now, frozen=stopped)


def waiting(stores: Stores, model: Model, version: int | None = None) -> int:
    """The version that is meant: the one asked for, or the newest that waits for an answer.

    Raises
    ------
    UsageError
        If none waits.
    """
    if version is not None:
        return int(record_of(stores, model, version)["version"])
    found = [v["version"] for v in stores.records.versions(model.name) if v["status"] == "challenger"]
    if not found:
        raise UsageError(
            f"version of {model.name}", "a challenger that passed the gate", "none", f"tidegate retrain {model.name}"
        )
    return int(found[-1])


def record_of(stores: Stores, model: Model, version: int) -> dict[str, Any]:
    """The version's row; raises `UsageError` if there is none."""
    found = next((v for v in stores.records.versions(model.name) if v["version"] == version), None)
    if found is None:
        raise _not(model, version, "a challenger that passed the gate", "no such version")
    return found


def _waits(stores: Stores, model: Model, record: dict[str, Any], now: datetime, *wanted: str) -> None:
    rows = Approvals(stores.control, stores.namespace).of(model.name, record["version"])
    known = answered(rows, now)
    if known is not None or record["status"] not in wanted:
        what = "a challenger that passed the gate" if len(wanted) == 1 else "a version that waits"
        raise _not(model, record["version"], what, known.words if known else record["status"])


def _may_go_live(stores: Stores, model: Model, record: dict[str, Any], now: datetime) -> None:
    """An answer that could not be carried out is not written."""
    stopped = frozen(stores, model, now)
    if stopped:
        raise UsageError(f"model {model.name}", "one that is not frozen", stopped, f"tidegate unfreeze {model.name}")
    same_champion(stores, model, record)


def _evidence(record: dict[str, Any]) -> dict[str, Any]:
    """What an answer is about: the last look, the digest of its record, the champion it was gated against."""
    looks = record["body"]["looks"]
    last = looks[-1] if looks else {}
    return {"look": len(looks), "window": last.get("window"), "against": last.get("against"),
            "evidence": json_digest(last), "package": record["digest"]}  # fmt: skip


def _words(by: str, reason: str, *, empty: bool = False) -> tuple[str, str]:
    return plain_line(by, "--by", 120), plain_line(reason, "--why", 1000, empty=empty)


def _not(model: Model, version: int, expected: str, found: str) -> UsageError:
    return UsageError(f"version {version} of {model.name}", expected, found, f"look at tidegate lineage {model.name}")


def _subject(stores: Stores, model: Model, version: int, now: datetime) -> Subject:
    return Subject(model.name, version, model.owner, _today(stores, model, now).id)


def _today(stores: Stores, model: Model, now: datetime) -> Window:
    return _calendar(stores, model).of(now)


def _calendar(stores: Stores, model: Model) -> Calendar:
    return stores.project.calendar(stores.project.dataset(model.dataset))


__all__ = ["Asked", "approve", "ask", "loud", "override", "page", "reject", "waiting"]
