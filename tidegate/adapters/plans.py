"""The serving plan in control: read, and changed by compare-and-swap with its ledger row."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from tidegate.adapters import ledger
from tidegate.adapters.control import Control
from tidegate.adapters.leases import Lease, check_token
from tidegate.adapters.schema import plans
from tidegate.errors import PlanConflict
from tidegate.rollout.plan import ServingPlan


class Plans:
    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def get(self, model: str) -> ServingPlan:
        """The plan, or an empty one at revision 0."""
        with self.control.read() as c:
            row = c.execute(select(plans).where((plans.c.namespace == self.namespace) & (plans.c.model == model))).first()
        if row is None:
            return ServingPlan(model)
        return ServingPlan(model, row.revision, row.champion, row.champion_digest, row.challenger, row.challenger_digest, row.mode, row.weight)

    def swap(self, expected: ServingPlan, wanted: ServingPlan, *, owner: str, window: str | None, at: datetime, why: dict[str, Any],
             lease: Lease | None = None, now: float = 0.0) -> ServingPlan:
        """Change the plan if it still is at the expected revision; the ledger row goes with it.

        Raises
        ------
        PlanConflict
            If somebody else changed the plan first.
        """
        after = replace(wanted, revision=expected.revision + 1)
        values = {k: v for k, v in asdict(after).items() if k != "model"} | {"owner": owner, "known_at": at}
        with self.control.write() as c:
            if lease:
                check_token(c, lease, now)
            at_plan = (plans.c.namespace == self.namespace) & (plans.c.model == expected.model)
            found = c.execute(select(plans.c.revision).where(at_plan)).scalar() or 0
            if found != expected.revision:
                raise PlanConflict(f"serving plan of {expected.model}", f"revision {expected.revision}", f"{found}", "look at the new plan and decide again")
            if found == 0:
                c.execute(insert(plans).values(namespace=self.namespace, model=expected.model, **values))
            else:
                c.execute(update(plans).where(at_plan).values(**values))
            ledger.append(c, namespace=self.namespace, owner=owner, model=expected.model, kind="plan", window=window, at=at,
                          body={"from": asdict(expected), "to": asdict(after), **why})
        return after
