"""Signals as a monitor would give them, and a store that keeps what nights come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from tidegate.alarms.incidents import Rules, Standing
from tidegate.alarms.judge import judge
from tidegate.verdicts import Effect, Signal

START = date(2013, 5, 1)
BIG = Effect(0.03, "roc_auc", "roc_auc falls by 0.03 (0.01 to 0.05)", True)


def day(n: int) -> str:
    return (START + timedelta(days=n)).isoformat()


def signal(n: int = 0, subject: str = "distance", monitor: str = "feature", **more: object) -> Signal:
    """A certified, lasting, harmful drift unless told otherwise."""
    values = {
        "statistic": "ks", "kind": "gradual", "value": 0.12, "low": 0.1, "high": 0.15, "z": 5.0,
        "since": day(n - 2), "persistent": True, "worse": True, "effect": BIG, "certified": True,
    }  # fmt: skip
    return Signal(day(n), monitor, subject, **{**values, **more})


def harm(n: int = 0, **more: object) -> Signal:
    return signal(n, "roc_auc", "performance", **{"statistic": "roc_auc", "kind": "harm", "certified": False, **more})


def fault(n: int = 0, **more: object) -> Signal:
    nothing = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "effect": None}
    return signal(n, "batch", "quality", statistic="verdict", kind="fault", **{**nothing, "since": day(n), **more})


RULES = Rules("flights", "days", "night", "night", 16, cooldown=14, close_after=3, caps={"night": 3})


class Store:
    """What control would keep."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules, self.alarms, self.incidents, self.events, self.judged = rules, [], {}, [], []
        self.mutes, self.freezes, self.paged = (), (), {}

    def standing(self, window: str) -> Standing:
        return Standing(
            tuple(self.incidents.values()), self.mutes, self.freezes, tuple(self.alarms), max(self.judged, default=""),
            max((w for w in self.judged if w < window), default=""), window in self.judged, self.paged,
            max(self.incidents, default=0) + 1,
        )  # fmt: skip

    def night(self, n: int, *signals: Signal):
        found = judge(signals, self.standing(day(n)), self.rules, day(n))
        self.alarms += [a for a in found.alarms if a not in self.alarms]
        self.incidents |= {i.number: i for i in found.incidents}
        self.events += found.events
        self.judged.append(day(n))
        return list(found.alarms)

    def person(self, number: int, **change: object) -> None:
        self.incidents[number] = replace(self.incidents[number], **change)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(scope="session")
def make():
    """The makers of signals: a drift, harm, a fault, and the name of a night."""

    class Make:
        day, drift, harm, fault = staticmethod(day), staticmethod(signal), staticmethod(harm), staticmethod(fault)
        rules, effect, Store = RULES, BIG, Store

    return Make
