"""The flows in Prometheus's text, read from control when it is asked for: nothing is counted twice, or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from sqlalchemy import Select, func, select

from tidegate.adapters.schema import deliveries, ledger, verdicts
from tidegate.steps.due import DONE
from tidegate.steps.health import Health, health
from tidegate.steps.stores import Stores

STATES = ("fine", "look", "act")
SEVERITIES = ("page", "ticket", "digest")


class Flows:
    """What Prometheus collects of one home."""

    def __init__(self, stores: Stores, now: datetime) -> None:
        self.stores, self.now = stores, now

    def describe(self) -> list[Metric]:
        """Nothing: the names are known when they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family with its samples."""
        known = health(self.stores, self.now)
        yield from _models(known)
        yield from self._nights()
        yield from self._counted()

    def _nights(self) -> Iterator[Metric]:
        at = GaugeMetricFamily("tidegate_night_success_timestamp_seconds", "When a model's newest night was done.",
                               labels=["model"])  # fmt: skip
        window = GaugeMetricFamily("tidegate_night_window_timestamp_seconds", "Date of the newest window done.",
                                   labels=["model"])  # fmt: skip
        v = verdicts.c
        done = select(v.owner, func.max(v.known_at).label("at"), func.max(v.window).label("window")).where(
            v.namespace == self.stores.namespace, v.kind == DONE).group_by(v.owner)  # fmt: skip
        for row in self._read(done):
            at.add_metric([row.owner], row.at.timestamp())
            window.add_metric([row.owner], datetime.fromisoformat(f"{row.window}T00:00:00+00:00").timestamp())
        yield at
        yield window

    def _counted(self) -> Iterator[Metric]:
        judged = CounterMetricFamily("tidegate_verdicts", "Windows by what was judged and the outcome.",
                                     labels=["owner", "kind", "outcome"])  # fmt: skip
        v = verdicts.c
        of = (v.namespace == self.stores.namespace) & (v.kind != DONE)
        for row in self._read(select(v.owner, v.kind, v.outcome, func.count().label("n")).where(of).group_by(
                v.owner, v.kind, v.outcome)):  # fmt: skip
            judged.add_metric([row.owner, row.kind, row.outcome], row.n)
        yield judged
        said = CounterMetricFamily("tidegate_ledger", "Entries of the ledger: plan is a switch, decision a decision.",
                                   labels=["model", "kind"])  # fmt: skip
        e = ledger.c
        for row in self._read(select(e.model, e.kind, func.count().label("n")).where(
                e.namespace == self.stores.namespace).group_by(e.model, e.kind)):  # fmt: skip
            said.add_metric([row.model, row.kind], row.n)
        yield said
        sent = GaugeMetricFamily("tidegate_deliveries", "Messages about alarms by what became of them.",
                                 labels=["channel", "state"])  # fmt: skip
        d = deliveries.c
        for row in self._read(select(d.channel, d.state, func.count().label("n")).where(
                d.namespace == self.stores.namespace).group_by(d.channel, d.state)):  # fmt: skip
            sent.add_metric([row.channel, row.state], row.n)
        yield sent

    def _read(self, query: Select[Any]) -> list[Any]:
        with self.stores.control.read() as c:
            return list(c.execute(query))


def _models(known: tuple[Health, ...]) -> Iterator[Metric]:
    state = GaugeMetricFamily("tidegate_model_state", "1 at the state that a model is in.", labels=["model", "state"])
    champion = GaugeMetricFamily("tidegate_champion_version", "The champion; 0 is none.", labels=["model"])
    due = GaugeMetricFamily("tidegate_nights_due", "Nights that are due and not done.", labels=["model"])
    incidents = GaugeMetricFamily("tidegate_incidents_open", "Incidents that are not closed.",
                                  labels=["model", "severity"])  # fmt: skip
    quality = GaugeMetricFamily("tidegate_performance", "Primary metric of the newest window with enough labels.",
                                labels=["model", "metric"])  # fmt: skip
    for one in known:
        for name in STATES:
            state.add_metric([one.model, name], one.state == name)
        champion.add_metric([one.model], one.champion or 0)
        due.add_metric([one.model], one.due)
        counts = Counter(one.incidents)
        for severity in SEVERITIES:
            incidents.add_metric([one.model, severity], counts[severity])
        if one.performance:
            quality.add_metric([one.model, one.performance["metric"]], one.performance["value"])
    yield from (state, champion, due, incidents, quality)


def exposition(stores: Stores, now: datetime) -> str:
    """The flows' metrics as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Flows(stores, now))
    return generate_latest(registry).decode()


__all__ = ["exposition"]
