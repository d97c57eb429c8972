"""The hold-out ledger: every look at a candidate, the nights it judged on, the error it spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, insert, select

from tidegate.adapters.control import Control
from tidegate.adapters.schema import looks
from tidegate.gate.error import spent_in_year

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: the version, the window on whose evening it was taken, its error, first and last night judged."""

    version: int
    look: int
    window: str
    error: float
    nights: tuple[str, ...]


class Looks:
    """The looks of one namespace; a look is written before the labels are looked at, and never changed."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def of(self, model: str) -> list[Look]:
        """Every look at a model's candidates, oldest first."""
        with self.control.read() as c:
            return self._of(c, model)

    def year(self, model: str, window: str) -> list[Look]:
        """The looks of the 365 days up to `window`; later ones count, too, so that a rerun spends nothing twice."""
        first = (date.fromisoformat(window) - YEAR).isoformat()
        return [look for look in self.of(model) if look.window > first]

    def take(
        self,
        model: str,
        owner: str,
        version: int,
        look: int,
        window: str,
        error: float,
        nights: Sequence[str],
        at: datetime,
        *,
        year: float = 1.0,
    ) -> Look:
        """Write a look; one that was taken already is returned as it was.

        It gets at most what is left of `year`, the error of any 365 days, whoever else looks at the same moment.
        """
        with self.control.write(durable=True) as c:
            taken = self._of(c, model)
            known = next((k for k in taken if (k.version, k.look) == (version, look)), None)
            if known:
                return known
            error = max(0.0, min(error, year - spent_in_year([(k.window, k.error) for k in taken], window)))
            c.execute(
                insert(looks).values(
                    namespace=self.namespace,
                    owner=owner,
                    model=model,
                    version=version,
                    look=look,
                    window=window,
                    error=error,
                    nights=list(nights),
                    known_at=at,
                )
            )
        return Look(version, look, window, error, tuple(nights))

    def _of(self, c: Connection, model: str) -> list[Look]:
        at = (looks.c.namespace == self.namespace) & (looks.c.model == model)
        rows = c.execute(select(looks).where(at).order_by(looks.c.id))
        return [Look(r.version, r.look, r.window, r.error, tuple(r.nights)) for r in rows]


__all__ = ["Look", "Looks"]
