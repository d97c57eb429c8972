"""The serving plan in control: read, and changed by compare-and-swap with its ledger row."""

from __future__ import annotations

import time
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from tidegate.adapters import ledger
from tidegate.adapters.control import Control
from tidegate.adapters.leases import Lease, check_token
from tidegate.adapters.schema import ledger as ledger_rows
from tidegate.adapters.schema import plans
from tidegate.errors import PlanConflict, UsageError
from tidegate.rollout.plan import ServingPlan


class Plans:
    """The serving plans of one namespace."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def get(self, model: str) -> ServingPlan:
        """The plan, or an empty one at revision 0."""
        at = (plans.c.namespace == self.namespace) & (plans.c.model == model)
        with self.control.read() as c:
            row = c.execute(select(plans).where(at)).first()
        if row is None:
            return ServingPlan(model)
        return ServingPlan(**{f.name: row._mapping[f.name] for f in fields(ServingPlan)})

    def intended(self, since: int) -> tuple[int, list[tuple[str, int, str]]]:
        """Model, version and package digest of each switch that somebody began after a place in the ledger.

        Returns the ledger's end beside them. Before any place was known (-1) nothing is told but the end.
        """
        of = ledger_rows.c.namespace == self.namespace
        with self.control.read() as c:
            end = c.execute(select(func.max(ledger_rows.c.seq))).scalar() or 0
            if since < 0 or end <= since:
                return end, []
            new = of & (ledger_rows.c.kind == "intent") & (ledger_rows.c.seq > since) & (ledger_rows.c.seq <= end)
            found = c.execute(select(ledger_rows.c.model, ledger_rows.c.body).where(new)).all()
        return end, [(m, int(b["version"]), str(b["digest"])) for m, b in found if "version" in b and "digest" in b]

    def swap(
        self,
        expected: ServingPlan,
        wanted: ServingPlan,
        *,
        owner: str,
        window: str | None,
        at: datetime,
        why: dict[str, Any],
        lease: Lease | None = None,
        now: float | None = None,
    ) -> ServingPlan:
        """Change the plan if it still is at the expected revision; the ledger row goes with it.

        `now` (seconds since the epoch) is for tests of the lease's expiry; by default it
        is read once the write lock is held.

        Raises
        ------
        PlanConflict
            If somebody else changed the plan first.
        StaleToken
            If `lease` was lost.
        """
        if expected.model != wanted.model:
            raise UsageError(f"serving plan of {expected.model}", "a plan of the same model", wanted.model)
        after = replace(wanted, revision=expected.revision + 1)
        values = asdict(after) | {"namespace": self.namespace, "owner": owner, "known_at": at}
        at_plan = (plans.c.namespace == self.namespace) & (plans.c.model == expected.model)
        with self.control.write(durable=True) as c:
            if lease:
                check_token(c, lease, time.time() if now is None else now)
            row = c.execute(select(plans).where(at_plan)).first()
            if (row.revision if row else 0) != expected.revision:
                found = f"{row.revision} by {row.owner} at {row.known_at.isoformat()}" if row else "no plan"
                raise PlanConflict(
                    f"serving plan of {expected.model}",
                    f"revision {expected.revision}",
                    found,
                    "look at the new plan and decide again",
                )
            c.execute(update(plans).where(at_plan).values(**values) if row else insert(plans).values(**values))
            ledger.append(
                c,
                namespace=self.namespace,
                owner=owner,
                model=expected.model,
                kind="plan",
                window=window,
                at=at,
                body={**why, "from": asdict(expected), "to": asdict(after)},
            )
        return after


__all__ = ["Plans"]
