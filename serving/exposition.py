"""The counters in Prometheus's text: summed over workers, quantiles of the summed histogram."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from serving.follower import Follower
from serving.gauges import (
    DROPPED,
    FIRST_CONFIDENCE,
    FIRST_SCORE,
    LOGGED,
    NANOS,
    OUTCOMES,
    ROWS,
    SCORES,
    Gauges,
    Seen,
    edges,
)
from serving.graphics import graphics
from serving.lane import Lane

LIMITS = tuple(2**k for k in range(17, 35))
"""Upper ends in nanoseconds, .13 ms to 17 s: powers of two, so that they are edges of the fine buckets."""


class Live:
    """What Prometheus collects."""

    def __init__(self, gauges: Gauges, lanes: dict[str, Lane], follower: Follower) -> None:
        self.gauges, self.lanes, self.follower = gauges, lanes, follower

    def describe(self) -> list[Any]:
        """Nothing: the names are known when they are collected."""
        return []

    def collect(self) -> Iterator[Any]:
        """Every family with its samples."""
        counts = self.gauges.gather()
        requests = CounterMetricFamily("tidegate_requests", "Requests by outcome.", labels=["model", "outcome"])
        rows = CounterMetricFamily("tidegate_rows", "Rows answered.", labels=["model"])
        kept = CounterMetricFamily("tidegate_inferences", "Inferences logged, and dropped for want of room.",
                                   labels=["model", "what"])  # fmt: skip
        took = HistogramMetricFamily("tidegate_latency_seconds", "Time to an answer.", labels=["model"])
        quantiles = GaugeMetricFamily("tidegate_latency_quantile_seconds", "Of all answers since the start.",
                                      labels=["model", "quantile"])  # fmt: skip
        scores = HistogramMetricFamily("tidegate_score", "Scores of binary models.", labels=["model"])
        sure = HistogramMetricFamily("tidegate_confidence", "Confidence of classifiers.", labels=["model"])
        version = GaugeMetricFamily(
            "tidegate_version", "The version that this worker serves; 0 is none.", labels=["model"]
        )
        revision = GaugeMetricFamily("tidegate_plan_revision", "The serving plan that it follows.", labels=["model"])
        faulty = GaugeMetricFamily(
            "tidegate_switch_failed", "1 while a newer plan cannot be followed.", labels=["model"]
        )
        fast = GaugeMetricFamily("tidegate_fast_path", "1 if scored without pandas.", labels=["model"])
        for name, lane in self.lanes.items():
            cells = counts[self.gauges.models.index(name)]
            for i, outcome in enumerate(OUTCOMES):
                requests.add_metric([name, outcome], int(cells[i]))
            rows.add_metric([name], int(cells[ROWS]))
            kept.add_metric([name, "logged"], int(cells[LOGGED]))
            kept.add_metric([name, "dropped"], int(cells[DROPPED]))
            seen = Seen(cells)
            took.add_metric([name], _latencies(seen), sum_value=int(cells[NANOS]) / 1e9)
            for q in (0.5, 0.95, 0.99):
                quantiles.add_metric([name, str(q)], seen.quantile(q))
            for family, first in ((scores, FIRST_SCORE), (sure, FIRST_CONFIDENCE)):
                part = [int(v) for v in cells[first : first + SCORES]]
                if any(part):
                    middle = sum((i + 0.5) / SCORES * n for i, n in enumerate(part))
                    family.add_metric([name], _shares(part), sum_value=middle)
            hosted = lane.hosted
            version.add_metric([name], hosted.version if hosted else 0)
            revision.add_metric([name], lane.revision)
            faulty.add_metric([name], bool(lane.fault))
            fast.add_metric([name], bool(hosted and hosted.prepared.fast))
        yield from (requests, rows, kept, took, quantiles, scores, sure, version, revision, faulty, fast)
        yield from _machine(self.follower)


def _latencies(seen: Seen) -> list[tuple[str, float]]:
    cumulated, ends = seen.latencies.cumsum(), edges()[1:]
    out = [(f"{limit / 1e9:g}", float(cumulated[ends <= limit][-1])) for limit in LIMITS]
    return [*out, ("+Inf", float(cumulated[-1]))]


def _shares(part: list[int]) -> list[tuple[str, float]]:
    out, total = [], 0
    for i, n in enumerate(part):
        total += n
        out.append((f"{(i + 1) / SCORES:g}", float(total)))
    return [*out, ("+Inf", float(total))]


def _machine(follower: Follower) -> Iterator[Any]:
    me = psutil.Process()
    family = me.parent().children(recursive=True) if me.parent() else [me]
    mine = [p for p in family if p.is_running()] or [me]
    cpu = memory = 0.0
    for process in mine:
        try:
            times = process.cpu_times()
            cpu, memory = cpu + times.user + times.system, memory + process.memory_info().rss
        except psutil.Error:
            continue
    yield CounterMetricFamily("tidegate_cpu_seconds", "CPU time of all workers that run.", value=cpu)
    yield GaugeMetricFamily(
        "tidegate_memory_bytes", "Resident memory of all workers; shared pages count in each.", memory
    )
    yield GaugeMetricFamily("tidegate_workers", "Processes of this gateway.", len(mine))
    yield GaugeMetricFamily("tidegate_control_up", "1 while the control database can be read.", bool(follower.up))
    yield GaugeMetricFamily("tidegate_time_seconds", "This machine's clock.", time.time())
    busy = GaugeMetricFamily("tidegate_gpu_utilisation", "Share of time a GPU was busy.", labels=["gpu"])
    used = GaugeMetricFamily("tidegate_gpu_memory_bytes", "Memory in use on a GPU.", labels=["gpu"])
    for card in graphics():
        busy.add_metric([card.name], card.busy)
        used.add_metric([card.name], card.used)
    if busy.samples:
        yield from (busy, used)


@lru_cache(maxsize=4)
def _registry(gauges: Gauges, follower: Follower) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Live(gauges, follower.lanes, follower))
    return registry


def exposition(gauges: Gauges, lanes: dict[str, Lane], follower: Follower) -> tuple[bytes, str]:
    """The text and its content type."""
    return generate_latest(_registry(gauges, follower)), CONTENT_TYPE_LATEST


__all__ = ["exposition"]
