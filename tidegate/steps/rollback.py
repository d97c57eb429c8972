"""Roll back: a former champion decides again, and the ledger says why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tidegate.adapters.leases import Lease
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.rollout.history import held
from tidegate.steps.former import checked_before, former, target
from tidegate.steps.freeze import frozen
from tidegate.steps.pins import plan_changes
from tidegate.steps.stores import Stores
from tidegate.steps.switch import PATIENCE, Switched, mirrored, switch
from tidegate.text import plain_line
from tidegate.verdicts import Verdict
from tidegate.windows import Window

AGAIN = timedelta(minutes=10)
"""Time after a rollback within which the next one has to name its version: two people may have pressed one button."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a person's rollback came to; ``switched`` is None where the check refused."""

    model: str
    before: int | None
    version: int
    checked: Verdict
    notes: tuple[str, ...]
    switched: Switched | None


def roll_back(
    stores: Stores,
    model: Model,
    window: Window,
    now: datetime,
    *,
    why: dict[str, Any],
    by: str,
    lease: Lease | None = None,
) -> Switched:
    """Go back to the former champion without asking anybody, as the nightly decision does.

    It passed its gate when it became champion, so it passes none again; what speaks for it now goes into the ledger
    with the switch. The champion's status becomes ``rolled_back``.

    Raises
    ------
    UsageError
        If the model is frozen, or there is nothing to go back to.
    IntegrityError
        If no former champion's package is sound, or the gateway cannot load it.
    PlanConflict
        If the plan changes in the meantime.
    """
    if stopped := frozen(stores, model, now):
        raise UsageError(f"rollback of {model.name}", "a model that is not frozen", stopped,
                         f"tidegate unfreeze {model.name}")  # fmt: skip
    from tidegate.steps.stillfit import rollback_gain

    plan, to = stores.plans.get(model.name), target(stores, model)
    back = {"rolls_back": {"from": plan.champion, "to": to.version}}
    gain = rollback_gain(stores, model, window)
    evidence = {"gain": gain.value, "se": gain.se, "blocks": gain.blocks, "why": gain.why}
    return switch(
        stores, model, plan, to.record, window, now, intent={**back, "by": by},
        why={"by": by, **why, **back, "evidence": evidence}, lease=lease, all_workers=False,
    )  # fmt: skip


def roll_back_by(
    stores: Stores,
    model: Model,
    now: datetime,
    *,
    by: str,
    reason: str = "",
    to: int | None = None,
    check: bool = True,
    patience: float = PATIENCE,
    mirror: bool = True,
) -> RolledBack:
    """Go back on a person's word, whatever `promotion` says and also while the model is frozen.

    Parameters
    ----------
    to : int, optional
        A version that was champion; by default the last one whose package is sound.
    check : bool
        Whether the check on current data may refuse: that of the night where it is about the same version, champion
        and newest batch, else it is made now. Without it nothing but the package itself is looked at.

    Raises
    ------
    UsageError
        If there is nothing to go back to, or the model was rolled back a moment ago and `to` names no version.
    IntegrityError
        If no package is sound, or the gateway cannot load it.
    PlanConflict
        If somebody else changes the plan meanwhile.
    """
    who, words = plain_line(by, "--by", 120), plain_line(reason, "--reason", 1000, empty=True)
    plan = stores.plans.get(model.name)
    if to is None:
        _not_just_now(stores, model, now)
    # Live workers load and smoke-test it themselves before they switch, and faster than a new process could.
    served = bool(stores.acks.live(model.name))
    found = target(stores, model, to, loaded=not served)
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    window = calendar.of(now)
    checked = Verdict("inconclusive", ("not checked on current data: --now",))
    if check:
        known = checked_before(stores, model, found.record)
        if known is not None:
            checked = known
        else:
            from tidegate.steps.stillfit import still_fits

            checked = still_fits(stores, model, found, window)
    notes = list(found.passed_over)
    if checked.outcome == "fail":
        stores.records.put_verdict(model.name, "rollback", window.id, checked, now)
        return RolledBack(model.name, plan.champion, found.version, checked, tuple(notes), None)
    stopped = frozen(stores, model, now)
    if stopped:
        notes.append(f"{model.name} is {stopped}; a person's rollback is made all the same")
    if found.record["status"] == "rolled_back":
        notes.append(f"version {found.version} was rolled back itself on {found.record['body'].get('rolled_back')}")
    back = {"rolls_back": {"from": plan.champion, "to": found.version}}
    said = {"by": who, "reason": words, "person": True, "notes": notes, "checked": checked.as_dict(), **back}
    done = switch(
        stores, model, plan, found.record, window, now, intent={**back, "by": who}, why=said, patience=patience,
        all_workers=False, mirror=mirror, load_here=not served,
    )  # fmt: skip
    return RolledBack(model.name, plan.champion, found.version, checked, tuple(notes), done)


def _not_just_now(stores: Stores, model: Model, now: datetime) -> None:
    made = held(plan_changes(stores, model.name))
    if made and made[-1].back and timedelta(0) <= now - made[-1].at < AGAIN:
        ago = int((now - made[-1].at).total_seconds())
        found = f"one to version {made[-1].after} by {made[-1].by}, {ago} s ago"
        raise UsageError(
            f"rollback of {model.name}", f"no other rollback within {int(AGAIN.total_seconds())} s, or --to VERSION",
            found, f"nothing, if that is what you meant; else tidegate rollback {model.name} --to VERSION",
        )  # fmt: skip


def rolled_back_on(stores: Stores, model: Model, window: str) -> int | None:
    """The version that was gone back to on a window, if one was: a night that runs again goes back no further."""
    done = [c.after for c in held(plan_changes(stores, model.name)) if c.back and c.window == window]
    return done[-1] if done else None


__all__ = ["RolledBack", "former", "mirrored", "roll_back", "roll_back_by", "rolled_back_on"]
