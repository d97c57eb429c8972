"""Cells of the lab on a year of small nights, with a real model that is blind to the night it scores."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.lab.catalogue import FAULTS, fault_named
from tidegate.profile.profile import grid_of, profile_of
from tidegate.steps.labcell import cell, onset, plan_of
from tidegate.steps.laborder import RULES, Order
from tidegate.steps.labtrial import Base
from tidegate.steps.trial import Trial, scored_rows

NIGHTS = tuple((date(2021, 1, 1) + timedelta(days=i)).isoformat() for i in range(364))
TYPES = {"site": "category", "km": "number", "age": "integer", "spare": "number"}
ROWS = 80


def year() -> dict[str, pa.Table]:
    rng = np.random.default_rng(2)
    out = {}
    for night in NIGHTS:
        km, age = rng.normal(50 + rng.normal(0, 2), 10, ROWS), rng.integers(18, 80, ROWS)
        p = 1 / (1 + np.exp(-(km - 55) / 5 - (age - 50) / 30))
        out[night] = pa.table(
            {
                "site": rng.choice(["north", "south", "west"], ROWS, p=[0.6, 0.37, 0.03]),
                "km": km, "age": age, "spare": rng.normal(size=ROWS), "label": (rng.random(ROWS) < p).astype(float),
            }
        )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def order(tmp_path_factory) -> Order:
    model = Model.model_validate(
        {
            "name": "small", "dataset": "small", "kind": "binary", "features": list(TYPES), "segments": ["site"],
            "label": {"column": "late", "classes": [0, 1], "positive": 1, "source": {"files": "x/{date}.csv"}},
            "kpi": {"unit": "EUR", "false_negative": -20.0, "false_positive": -5.0},
        }
    )  # fmt: skip
    rows = year()
    names = ["km", "age", "spare"]

    def features(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[names].fillna(0.0)

    folds = {n: i // 3 % 2 for i, n in enumerate(NIGHTS)}
    members = []
    for fold in (0, 1):
        seen = pa.concat_tables([t for n, t in rows.items() if folds[n] != fold]).to_pandas()
        members.append(LogisticRegression(max_iter=500).fit(seen[names], seen["label"]))
    spec = {"kind": "binary", "features": TYPES, "classes": [0, 1], "threshold": 0.2, "model": "small",
            "user": {"features": "small:features", "build": "small:build"}}  # fmt: skip
    package = Loaded(tmp_path_factory.mktemp("package"), "d" * 64, spec, SimpleNamespace(estimators_=members), features)
    bare = Trial(None, model, package, NIGHTS, rows, {})
    parts = []
    for n, t in rows.items():
        scores = members[folds[n]].predict_proba(features(t.to_pandas()))[:, 1]
        part = scored_rows(bare, n, t, scores)
        parts.append(part.append_column("event_window", pa.array([n] * ROWS)).append_column(
            "fold", pa.array([folds[n]] * ROWS)))  # fmt: skip
    (package.folder / "tidegate" / "reference").mkdir(parents=True)
    pq.write_table(pa.concat_tables(parts), package.folder / "tidegate" / "reference" / "outcomes.parquet")
    on = grid_of(pa.concat_tables(list(rows.values())).select(list(TYPES)))
    profiles = {n: profile_of(t, on) for n, t in rows.items()}
    base = Base(Trial(None, model, package, NIGHTS, rows, profiles), TYPES, {"km": 1.0, "age": 0.3, "spare": 0.0}, 182)
    return Order(base, 0, 1, 1.0)


def test_a_fault_that_changes_nothing_says_what_the_clean_nights_say(order: Order) -> None:
    none = replace(fault_named("unit_change"), magnitudes=(1.0, 1.0, 1.0))
    at = onset(order, 1, 3, 74)
    fault = FAULTS[0]
    plan = plan_of(order, fault, at)
    assert plan is not None
    line = cell_of(order, none, 2, plan, at)
    assert line["harm"] == pytest.approx(0.0, abs=1e-12)
    for delay in (2, 60):
        clean = order.clean(delay)
        for rule in RULES:
            expected = clean[rule][at.start : at.start + 7]
            assert line["held"][str(delay)][rule] == pytest.approx(np.round(expected, 4).tolist()), (rule, delay)


def cell_of(order, fault, size, plan, at):
    with pytest.MonkeyPatch.context() as patch:
        if fault not in FAULTS:
            patch.setattr("tidegate.steps.labcell.FAULTS", (fault, *FAULTS[1:]))
        return cell(order, fault, size, plan, at, (2, 60))


def test_the_values_of_a_changed_night_are_those_of_the_trial_s_own_machinery(order: Order) -> None:
    from tidegate.steps import labcell

    fault = fault_named("partial_batch")
    at = onset(order, 1, 5, 74)
    for name in ("unit_change", "null_burst", "partial_batch"):
        fault = fault_named(name)
        plan = plan_of(order, fault, at)
        assert plan is not None
        plain = order.base.frame(order.night(at.start))
        frame = fault.apply(plain, plan, fault.magnitudes[1], 0, np.random.default_rng(1))
        view, _, _ = labcell._changed(order, at.start, plain, frame, "rows", {})
        expected = order.split.changed(view.date, view.rows, view._scores, {})
        for series, value in zip(order.limits.series, view.values, strict=True):
            if series.monitor == "volume":
                continue
            assert value == pytest.approx(expected.get(series, np.nan), nan_ok=True), (name, series)


def test_a_disaster_is_seen_by_every_rule_and_costs(order: Order) -> None:
    fault, at = fault_named("unit_change"), onset(order, 1, 4, 74)
    plan = replace(plan_of(order, fault, at), columns=("km",), words="km")
    line = cell(order, fault, 2, plan, at, (2,))
    assert line["harm"] > 0.02
    clean = order.clean(2)
    for rule in RULES:
        if rule != "evidently":  # one column of four is not half
            assert max(line["held"]["2"][rule]) > clean[rule].max(), rule


def test_labels_tell_as_late_as_they_come(order: Order) -> None:
    fault, at = fault_named("label_flip"), onset(order, 1, 4, 74)
    plan = plan_of(order, fault, at)
    assert plan is not None
    line = cell(order, fault, 2, plan, at, (2, 60))
    assert line["harm"] > 0.02
    for delay in (2, 60):
        held = line["held"][str(delay)]
        assert held["late"] == delay
        begins = at.start + delay
        assert max(held["tidegate"]) > order.clean(delay)["tidegate"][begins : begins + 7].max()
        assert held["psi"] == pytest.approx(order.clean(delay)["psi"][begins : begins + 7].round(4).tolist())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_every_fault_runs(order: Order, fault) -> None:
    at = onset(order, 1, 6, 74)
    plan = plan_of(order, fault, at)
    assert plan is not None
    line = cell(order, fault, 1, plan, at, (2,))
    assert np.isfinite(line["harm"])
    assert all(len(line["held"]["2"][rule]) == (14 if fault.slow else 7) for rule in RULES)


def test_the_same_seed_gives_the_same_line(order: Order) -> None:
    fault, at = fault_named("null_burst"), onset(order, 1, 6, 74)
    plan = plan_of(order, fault, at)
    assert plan is not None
    first, second = (cell(order, fault, 1, plan, at, (2,)) | {"cpu_s": 0} for _ in range(2))
    assert first == second
