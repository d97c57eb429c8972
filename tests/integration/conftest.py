"""The loop without Prefect (the steps in the order of `flows.bodies`), and the command in this process."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tidegate.adapters.packages import load
from tidegate.adapters.schema import windows
from tidegate.adapters.snapshot import moved
from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.steps.approval import approve
from tidegate.steps.candidate import look_at, train_and_register
from tidegate.steps.case import Case
from tidegate.steps.decide import decide_window
from tidegate.steps.estimate import estimate
from tidegate.steps.ingest import ingest
from tidegate.steps.labels import collect_labels
from tidegate.steps.measure import measure
from tidegate.steps.promote import promote
from tidegate.steps.score import score
from tidegate.steps.stores import open_stores
from tidegate.steps.watch import watch

FIRST = date(2024, 1, 1)


def day_of(i: int) -> str:
    return (FIRST + timedelta(days=i)).isoformat()


@dataclass
class Loop:
    """One model of a home, night by night."""

    root: Path
    name: str
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores = open_stores(Home.at(self.root))
        self.model = self.stores.project.model(self.name)
        self.dataset = self.stores.project.dataset(self.model.dataset)
        self.calendar = self.stores.project.calendar(self.dataset)

    def ingest(self, i: int, *, again: bool = False):
        w = self.calendar.window(day_of(i))
        return ingest(self.stores, self.dataset, w, evening_of(w), again=again)

    def labels(self, i: int) -> int:
        w = self.calendar.window(day_of(i))
        arrived = collect_labels(self.stores, self.model, w, evening_of(w))
        measure(self.stores, self.model, w, evening_of(w))
        estimate(self.stores, self.model, w, evening_of(w))
        return arrived

    def night(self, i: int, *, again: bool = False) -> dict[str, Any]:
        w = self.calendar.window(day_of(i))
        now = evening_of(w)
        done: dict[str, Any] = {"quality": self.ingest(i, again=again)}
        passed = done["quality"].passed
        if passed:
            done["scored"] = score(self.stores, self.model, w, now)
        done["labels"] = self.labels(i)
        done["alarms"] = watch(self.stores, self.model, w, now)
        done["decision"] = self.decide(i)
        tried = [v for v in self.stores.records.versions(self.name) if v["body"]["window"] == w.id]
        if done["decision"].action == "retrain" and not tried:
            done |= self.retrain(i, done["decision"].reason)
        self.told.setdefault(w.id, done)
        return done

    def decide(self, i: int):
        w = self.calendar.window(day_of(i))
        return decide_window(self.stores, self.model, w, evening_of(w))

    def retrain(self, i: int, reason: str) -> dict[str, Any]:
        w = self.calendar.window(day_of(i))
        version = train_and_register(self.stores, self.model, w, evening_of(w), reason=reason)
        gate = look_at(self.stores, self.model, version, w, evening_of(w))
        if gate.passed and self.model.promotion == "automatic":
            self.promote(version, i, "automatic")
        return {"version": version, "gate": gate}

    def promote(self, version: int, i: int, by: str):
        w = self.calendar.window(day_of(i))
        if self.model.promotion == "approve":
            return approve(self.stores, self.model, version, w.end - timedelta(minutes=1), by=by)
        return promote(self.stores, self.model, version, w, evening_of(w), why={"reason": "test"}, by=by)

    def case(self, version: int, i: int, *, champion: int | None = None) -> Case:
        """The case of a version's first look, on night `i`, against the version that was champion then."""
        against = (champion, self.package(champion)) if champion else None
        w = self.calendar.window(day_of(i))
        return Case(self.stores, self.model, version, self.package(version), against, w, 1)

    def record(self, version: int) -> dict[str, Any]:
        return next(v for v in self.stores.records.versions(self.name) if v["version"] == version)

    def package(self, version: int):
        return self.stores.package(self.name, version, self.record(version)["digest"])

    def digests(self) -> dict[str, Any]:
        """Every row that control has of a window, and every Delta table's version."""
        from deltalake import DeltaTable

        with self.stores.control.read() as c:
            rows = {f"row {r.id}": tuple(r) for r in c.execute(select(windows))}
        logs = self.root.glob("var/lake/**/_delta_log")
        return rows | {p.parent.relative_to(self.root).as_posix(): DeltaTable(str(p.parent)).version() for p in logs}


@pytest.fixture
def cellar(wine, loop_of, tmp_path):
    """A copy of the wine's home, its registry's addresses too: version 1 was champion before version 2."""
    root = tmp_path / "home"
    shutil.copytree(wine.root, root)
    # Else what is deleted in the copy's registry is deleted where it was copied from.
    assert moved(root / "var" / "mlflow.db", wine.root / "var", root / "var")
    yield loop_of(root, wine.name)
    load.cache_clear()


@dataclass(frozen=True)
class Said:
    """What a call of the command came to."""

    code: int
    out: str
    err: str

    def one_line(self) -> str:
        """The fault on stderr: one line of the form that all have."""
        assert self.err.startswith("tidegate: "), self.err
        assert self.err.count("\n") == 1, self.err
        for word in ("Traceback", 'File "'):
            assert word not in self.err + self.out
        return self.err.removeprefix("tidegate: ").rstrip("\n")


@pytest.fixture
def tidegate(monkeypatch, capsys):
    """Calls the command's entry point in this process, where the libraries are loaded already."""
    from tidegate.cli.main import main

    environment = dict(os.environ)

    def call(*words: object) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["tidegate", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        return Said(int(caught.value.code or 0), said.out, said.err)

    yield call
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="session")
def day():
    """The id of a night, by its number."""
    return day_of


@pytest.fixture(scope="session")
def loop_of():
    return Loop


@pytest.fixture(scope="session")
def wine(make_wine, tmp_path_factory):
    """Twelve nights of history, a first champion, twelve more; the instruments change on night 11."""
    loop = Loop(make_wine(tmp_path_factory.mktemp("wine"), 24, 11), "cultivars")
    for i in range(24):
        loop.night(i)
    return loop


@pytest.fixture(scope="session")
def diabetes(make_diabetes, tmp_path_factory):
    """A first champion that a person approved on night 9, then twelve nights.

    The file of night 3 lacks a column for ever, that of night 4 is torn until night 6; the
    labels of night 8 never come. From night 10 on the disease goes faster. On night 21 a
    retrain is forced, and approved.
    """
    import pandas as pd

    root = make_diabetes(tmp_path_factory.mktemp("diabetes"), 22, 10)
    pd.read_parquet(root / f"diabetes/{day_of(3)}.parquet").drop(columns="bmi").to_parquet(
        root / f"diabetes/{day_of(3)}.parquet"
    )
    torn = root / f"diabetes/{day_of(4)}.parquet"
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    (root / f"progression/{day_of(8)}.csv").unlink()
    loop = Loop(root, "progression")
    for i in range(22):
        loop.night(i)
        if i == 6:
            torn.write_bytes(whole)
            loop.ingest(4)
        if i == 9:
            loop.promote(1, i, "dr who")
    loop.told["forced"] = loop.retrain(21, "forced")
    loop.promote(2, 21, "dr who")
    return loop
