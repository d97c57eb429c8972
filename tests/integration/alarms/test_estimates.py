"""Estimates of a shop's nights: stored, judged when orders come, and what a change of the customers' mind comes to."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidegate.clock import evening_of
from tidegate.steps.expectation import expectation
from tidegate.steps.score import score
from tidegate.steps.watch import watch


def nights_of(loop, open_shop, nights, change=None, orders=None):
    """Ingest, score, take in labels and estimate, without the monitors: changed visits, changed orders."""
    for i in nights:
        open_shop(loop.root, i, change)
        if orders is not None:
            path = loop.root / f"orders/{loop.calendar.window('2024-01-01').date + pd.Timedelta(days=i)}.csv"
            orders(pd.read_csv(path), np.random.default_rng([9, i])).to_csv(path, index=False)
        window = loop.calendar.shift(loop.calendar.window("2024-01-01"), i)
        assert loop.ingest(i).passed
        score(loop.stores, loop.model, window, evening_of(window))
        loop.labels(i)


def gaps(loop, first):
    return {w: v for w, v in loop.stores.records.verdicts(loop.name, "gap").items() if w >= first}


def test_every_scored_window_has_an_estimate_with_its_error(quiet_shop, day):
    scored = [s.window for s in quiet_shop.stores.lake.many("inferences", "bought")]
    stored = [s.window for s in quiet_shop.stores.lake.many("estimates", "bought")]
    assert stored == scored
    assert len(scored) >= 3
    rows = {r["metric"]: r for r in quiet_shop.stores.lake.read("estimates", "bought", [day(49)]).to_pylist()}
    assert {"roc_auc", "log_loss", "brier", "accuracy", "precision", "recall", "kpi"} <= set(rows)
    auc = rows["roc_auc"]
    assert 0.5 < auc["value"] < 1
    assert 0 < auc["se"] < 0.2
    assert (auc["n"], auc["version"], auc["trusted"]) == (120, 1, False)
    assert 0 < auc["n_eff"] <= 120


def test_estimates_are_not_trusted_before_enough_has_matured(quiet_shop):
    told = list(quiet_shop.stores.records.verdicts("bought", "estimate").values())
    assert {v.outcome for v in told} == {"inconclusive"}
    assert "no matured night" in told[0].reasons[0]
    assert "blocks of matured nights, 3 needed" in told[-1].reasons[0]


def test_a_rerun_changes_nothing(quiet_shop):
    before = quiet_shop.digests()
    for i in (48, 49):
        quiet_shop.labels(i)
    assert quiet_shop.digests() == before


def test_a_change_of_mind_is_called_a_concept_drift_and_another_crowd_is_not(shop, open_shop, loop_of, day):
    """Orders are resampled, scores are as they were; in the other shop prices move and the same price sells as well."""
    flip = np.random.default_rng(3)

    def contrary(orders, rng):
        return orders.assign(bought=np.where(flip.random(len(orders)) < 0.75, 1 - orders["bought"], orders["bought"]))

    nights_of(shop, open_shop, range(50, 72), orders=contrary)
    told = gaps(shop, day(50))
    assert max(told) == day(70), "labels of the last night are not there yet"
    assert "fail" in {v.outcome for v in told.values()}
    last = told[max(told)]
    assert last.outcome == "fail"
    assert "worse than estimated" in last.reasons[0]
    n = last.numbers
    assert (n["since"] <= day(53), n["nights"] > 10, n["se"] > 0) == (True, True, True)
    assert (n["gap"] < 0) == (n["metric"] == "roc_auc")
    window = shop.calendar.window(day(71))
    alarms = watch(shop.stores, shop.model, window, evening_of(window))
    mine = [a for a in alarms if any("estimate gap" in m for m in (a.subject, *a.members))]
    assert [a.cause for a in mine] == ["concept"]
    assert mine[0].severity in ("ticket", "page")
    estimate = shop.stores.records.verdict("bought", "estimate", day(71))
    assert estimate.outcome == "fail", "estimates that miss what happens are not trusted"


def test_another_crowd_with_the_same_mind_is_no_gap(shop, open_shop, day):
    def dearer(i):
        rng = np.random.default_rng([11, i])
        visits = pd.read_csv(shop.root / f"visits/{day(i)}.csv")
        visits["price"] = (visits["price"] + 5).round(2)
        bought = rng.random(len(visits)) < 1 / (1 + np.exp(0.6 * (visits["price"] - 20) - 0.2 * (visits["pages"] - 4)))
        visits.to_csv(shop.root / f"visits/{day(i)}.csv", index=False)
        orders = visits[["visit", "at"]].assign(bought=bought.astype(int))
        orders.to_csv(shop.root / f"orders/{day(i)}.csv", index=False)

    for i in range(50, 68):
        open_shop(shop.root, i)
        dearer(i)
        window = shop.calendar.window(day(i))
        shop.ingest(i)
        score(shop.stores, shop.model, window, evening_of(window))
        shop.labels(i)
    told = gaps(shop, day(50))
    assert {v.outcome for v in told.values()} == {"pass"}
    table = shop.stores.lake.read("estimates", "bought", [day(i) for i in range(46, 67)]).to_pylist()
    losses = {r["window"]: r["value"] for r in table if r["metric"] == "log_loss"}
    usual, moved = (np.mean([v for w, v in losses.items() if (w >= day(50)) == after]) for after in (False, True))
    assert moved < usual - 0.02, "the estimate says that dear visits are easier to tell"
    gap = np.mean([v.numbers["night"]["log_loss"][0] for v in told.values()])
    assert abs(gap) < 0.05


@pytest.mark.fault(16)
def test_no_labels_ever_are_never_trusted_and_nothing_is_judged(shop, open_shop, day):
    for i in range(50, 54):
        open_shop(shop.root, i)
        (shop.root / f"orders/{day(i)}.csv").unlink()
        window = shop.calendar.window(day(i))
        shop.ingest(i)
        score(shop.stores, shop.model, window, evening_of(window))
        shop.labels(i)
    assert {v.outcome for v in gaps(shop, day(50)).values()} == {"inconclusive"}
    assert shop.stores.records.verdict("bought", "estimate", day(53)).outcome == "inconclusive"
    rows = shop.stores.lake.read("estimates", "bought", [day(53)]).to_pylist()
    assert rows
    assert not any(r["trusted"] for r in rows)


def test_a_night_without_rows_says_so(shop, day):
    shop.labels(50)
    verdict = shop.stores.records.verdict("bought", "estimate", day(50))
    assert (verdict.outcome, verdict.reasons) == ("inconclusive", ("no row of the window was scored",))


def altered(package, folder, change):
    """The package with other reference outcomes; `change` gives None for none at all."""
    target = folder / "tidegate" / "reference"
    target.mkdir(parents=True)
    table = change(package.reference("outcomes"))
    if table is not None:
        pq.write_table(table, target / "outcomes.parquet")
    return dataclasses.replace(package, folder=folder, digest=folder.name)


def _replaced(table, name, values):
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def test_references_that_let_nobody_expect_anything_say_why(quiet_shop, tmp_path):
    package = quiet_shop.package(1)
    cases = {
        "the package has no reference outcomes": lambda t: None,
        "the package's reference has no outcomes": lambda t: t.slice(0, 0),
        "the reference's labels are of one class only": lambda t: _replaced(t, "label", np.ones(t.num_rows)),
    }
    for i, (why, change) in enumerate(cases.items()):
        found = expectation(quiet_shop.stores, quiet_shop.model, altered(package, tmp_path / str(i), change))
        assert (found.why, dict(found.yardsticks)) == (why, {})
    same = altered(package, tmp_path / "same", lambda t: _replaced(t, "score", np.full(t.num_rows, 0.4)))
    found = expectation(quiet_shop.stores, quiet_shop.model, same)
    assert found.why == ""
    assert found.chances.curves == ()
    rows = quiet_shop.stores.lake.read("inferences", "bought", ["2024-02-19"])
    assert found.tally(quiet_shop.stores, "2024-02-19", rows).n == rows.num_rows


def test_the_verb_shows_nights_with_their_error_and_whether_they_are_trusted(quiet_shop, tidegate):
    said = tidegate("--home", quiet_shop.root, "estimates", "bought")
    assert said.code == 0
    assert "estimated roc_auc" in said.out
    assert "±" in said.out
    assert "not trusted" in said.out
    body = json.loads(tidegate("--home", quiet_shop.root, "estimates", "bought", "--json").out)
    night = body["nights"][0]
    assert (night["trusted"], body["metric"], night["version"]) == (False, "roc_auc", 1)
    assert night["realised"] is not None
    assert night["metrics"]["kpi"]["se"] > 0
    none = tidegate("--home", quiet_shop.root, "estimates", "bought", "--from", "2030-01-01")
    assert (none.code, "no estimate yet" in none.out) == (0, True)
    wrong = tidegate("--home", quiet_shop.root, "estimates", "bought", "--from", "2024-03-01", "--to", "2024-02-01")
    assert wrong.code == 2
    assert "--from not after --to" in wrong.one_line()


def test_the_verb_says_how_long_labels_take(quiet_shop, tidegate):
    said = tidegate("--home", quiet_shop.root, "labels", "bought")
    assert said.code == 0
    assert "50% after 1, 90% after 1, 99% after 1" in said.out
    assert "declared 1 nights" in said.out
