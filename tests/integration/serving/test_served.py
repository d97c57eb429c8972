"""Labels that were posted, the logger for others, and what the command says of an inference."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tidegate.adapters.secrets import pseudonym_key, pseudonym_keys, rotate
from tidegate.clock import evening_of
from tidegate.contract.admit import row_ids
from tidegate.errors import UsageError
from tidegate.inferences import InferenceLogger
from tidegate.steps.collect import collect
from tidegate.steps.labels import collect_labels
from tidegate.steps.served import measure_served

DAY = "2024-01-01"


def batch(shop, visits: range) -> list[str]:
    """A landed batch of the day with these visits; their row ids."""
    ids = row_ids([pd.Series(list(visits))]).tolist()
    shop.stores.data.put("batches", "visits", DAY, pa.table({"row_id": ids, "visit": list(visits)}), shop.now)
    return ids


def night(shop, i: int, passes: int = 1) -> list[dict]:
    """Night i after the first day, as many times as asked for; the labels that are known then."""
    calendar = shop.stores.project.calendar(shop.dataset)
    window = calendar.shift(calendar.window(DAY), i)
    for _ in range(passes):
        collect(shop.stores, shop.model, evening_of(window))
        collect_labels(shop.stores, shop.model, window, evening_of(window))
        measure_served(shop.stores, shop.model, window, evening_of(window))
    return shop.stores.lake.read("labels", "bought").to_pylist()


def test_posted_labels_reach_the_night_they_are_due(shop, nanoseconds) -> None:
    log, rows = shop.log(), batch(shop, range(3))
    answered = shop.answer(log, range(2))
    log.labels([(answered[0], None, "yes", None), (None, rows[2], "no", None)], nanoseconds(shop.now), "till")
    log.labels([(None, "no such row", "yes", None)], nanoseconds(shop.now), "till")
    log.close()
    assert night(shop, 0) == []
    due = {"event_window": DAY, "window": "2024-01-02"}
    expected = sorted(
        [{"row_id": rows[0], "label": 1.0, **due}, {"row_id": rows[2], "label": 0.0, **due}], key=lambda r: r["row_id"]
    )
    assert night(shop, 1) == expected
    before = shop.stores.lake.stored("labels", "bought", "2024-01-02")
    assert night(shop, 1, passes=2) == expected
    assert shop.stores.lake.stored("labels", "bought", "2024-01-02") == before


def test_a_correction_restates_and_the_source_wins_over_what_was_posted_before_it(shop, nanoseconds) -> None:
    rows = batch(shop, range(2))
    (shop.root / "orders").mkdir()
    orders = pd.DataFrame({"visit": [0, 1], "at": [f"{DAY}T10:00:00Z"] * 2, "bought": ["no", "no"]})
    orders.to_csv(shop.root / "orders" / f"{DAY}.csv", index=False)
    log = shop.log()
    log.labels([(None, rows[0], "yes", None)], nanoseconds(shop.now), "till")
    log.close()
    night(shop, 0)
    labels = {r["row_id"]: r["label"] for r in night(shop, 1)}
    assert labels == {rows[0]: 0.0, rows[1]: 0.0}
    shop.now += timedelta(days=2)
    log = shop.log()
    log.labels([(None, rows[1], "yes", None)], nanoseconds(shop.now), "till")
    log.close()
    labels = {r["row_id"]: r["label"] for r in night(shop, 2, passes=2)}
    assert labels == {rows[0]: 0.0, rows[1]: 1.0}


def test_what_was_served_is_measured_when_its_labels_are_due(shop, nanoseconds) -> None:
    log = shop.log()
    ids = shop.answer(log, range(8))
    log.labels([(i, None, "yes" if k < 2 else "no", None) for k, i in enumerate(ids[:6])], nanoseconds(shop.now), "x")
    log.close()
    night(shop, 0)
    assert shop.stores.records.verdict("bought", "served", DAY) is None
    night(shop, 1, passes=2)
    verdict = shop.stores.records.verdict("bought", "served", DAY)
    assert verdict.passed
    assert (verdict.numbers["rows"], verdict.numbers["labelled"]) == (8, 6)
    metrics = verdict.numbers["versions"]["3"]
    assert metrics["n"] == 6
    assert metrics["accuracy"] == pytest.approx(4 / 6)  # all answers were "no"
    assert metrics["brier"] == pytest.approx((2 * 0.75**2 + 4 * 0.25**2) / 6)


def test_few_labels_are_no_pass(shop) -> None:
    log = shop.log()
    shop.answer(log, range(4))
    log.close()
    night(shop, 0)
    night(shop, 1)
    verdict = shop.stores.records.verdict("bought", "served", DAY)
    assert verdict.outcome == "inconclusive"
    assert "0 of 4" in verdict.reasons[0]


ROWS = [{"channel": "web", "price": "20.3", "pages": 4, "mail": "a@b", "name": "Ann", "visit": 7, "more": 1},
        {"channel": "app", "price": None, "pages": 2, "mail": None, "name": "Bob", "visit": 8, "more": 2}]  # fmt: skip


@pytest.mark.parametrize("form", [list, pd.DataFrame, pa.Table.from_pylist])
def test_the_logger_of_somebody_elses_server_writes_the_same_log(shop, form, tidegate) -> None:
    with InferenceLogger(shop.root, "bought") as logger:
        ids = logger.log(form(ROWS), [0.2, 0.9], ["no", "yes"], version=4, ids=["a", "b"], latency=0.002)
        assert logger.counts().stored == 2
    assert collect(shop.stores, shop.model, datetime.now(shop.now.tzinfo)).rows == 2
    first, second = shop.stores.lake.read("served", "bought").to_pylist()
    assert [first["inference_id"], second["inference_id"]] == ids
    assert (first["source"], first["version"], first["caller_id"], first["latency_us"]) == ("logger", 4, "a", 2000.0)
    assert (first["in_price"], second["in_price"], second["prediction"]) == (20.5, None, 1)
    assert first["row_id"] == row_ids([pd.Series([7])])[0]
    said = tidegate("--home", shop.root, "inference", ids[1], "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["prediction"], found["score"], found["inputs"]["channel"]) == ("yes", 0.9, "app")
    assert "Bob" not in said.out
    for words in (("inference", ids[0]), ("served", "bought")):
        shown = tidegate("--home", shop.root, *words)
        assert shown.code == 0
        assert "4" in shown.out


@pytest.mark.parametrize(
    ("rows", "scores", "predictions", "what"),
    [
        ([{"channel": "web"}], [0.5], None, "price"),
        ([{**ROWS[0], "pages": 1.5}], [0.5], None, "pages"),
        ([{**ROWS[0], "name": 5}], [0.5], None, "name"),
        (ROWS, [0.5], None, "shape"),
        (ROWS, [0.5, float("nan")], None, "probabilities"),
        (ROWS, [0.5, 1.5], None, "probabilities"),
        (ROWS, [0.5, 0.5], ["no", "maybe"], "maybe"),
        (ROWS, ["x", "y"], None, "numbers"),
    ],
)
def test_the_logger_refuses_what_breaks_the_contract(shop, rows, scores, predictions, what) -> None:
    with InferenceLogger(shop.root, "bought") as logger:
        with pytest.raises(UsageError, match=what):
            logger.log(rows, scores, predictions)
        assert logger.log([], [], None) == []
        assert logger.counts().admitted == 0


def test_an_inference_of_a_batch_is_found_with_its_inputs_labels_and_corrections(shop, nanoseconds, tidegate) -> None:
    from tidegate.steps.score import inference_id

    (row,) = batch(shop, range(1))
    name = inference_id(shop.stores.project.calendar(shop.dataset).window(DAY), 3, row)
    numbers = {"version": pa.array([3], pa.int32()), "score": [0.3], "prediction": pa.array([0], pa.int32())}
    names = {"row_id": [row], "inference_id": [name], "source": ["batch"], "segment_channel": ["web"]}
    table = pa.table({**names, **numbers})
    shop.stores.lake.put("inferences", "bought", DAY, table, shop.now)
    log = shop.log()
    for label in ("yes", "no"):
        shop.now += timedelta(hours=1)
        log.labels([(name, None, label, None)], nanoseconds(shop.now), "till")
    log.close()
    night(shop, 0)
    said = tidegate("--home", shop.root, "inference", name, "--model", "bought", "--json")
    found = json.loads(said.out)
    assert found["inputs"]["visit"] == 0
    assert [(r["label"], r["from"]) for r in found["labels"]] == [("yes", "posted by till"), ("no", "posted by till")]


def test_the_verbs_say_what_they_cannot_find(shop, tidegate) -> None:
    assert "UUIDv7" in tidegate("--home", shop.root, "inference", "nonsense").one_line()
    unknown = "018cc251-f400-7000-8000-000000000000"
    said = tidegate("--home", shop.root, "inference", unknown)
    assert said.code == 2
    assert unknown in said.one_line()
    assert "nothing was served" in tidegate("--home", shop.root, "served", "bought").out


def test_keys_of_pseudonyms_rotate_and_old_ones_stay(shop) -> None:
    log = shop.log()
    shop.answer(log, range(1))
    first = pseudonym_key(shop.stores.home.state)
    assert rotate(shop.stores.home.state) == 2
    assert pseudonym_keys(shop.stores.home.state)[1] == first[1]
    log.tick()
    shop.answer(log, range(1))
    log.close()
    collect(shop.stores, shop.model, shop.now)
    kept = shop.stores.lake.read("served", "bought")["pseudonym_mail"].to_pylist()
    assert [k[:3] for k in kept] == ["p1:", "p2:"]


def test_workers_that_start_at_once_have_one_key(tmp_path) -> None:
    code = (
        "import sys; from pathlib import Path; from tidegate.adapters.secrets import pseudonym_key\n"
        "print(pseudonym_key(Path(sys.argv[1])))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) for _ in range(3)]
    assert len({p.communicate()[0] for p in started}) == 1
    assert not [p for p in (tmp_path / "private").iterdir() if p.name.startswith(".")]


def test_importing_the_logger_loads_nothing_heavy() -> None:
    code = (
        "import sys, tidegate.inferences\n"
        "print([m for m in ('pandas', 'pyarrow', 'sklearn', 'deltalake', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ids_rise_within_a_process_even_when_the_clock_does_not(shop, nanoseconds) -> None:
    from tidegate.adapters.inferenceids import moment_of, new_ids

    ids = new_ids(5000, nanoseconds(shop.now)) + new_ids(10, nanoseconds(shop.now) - 5 * 10**9)
    assert ids == sorted(ids)
    assert len(set(ids)) == 5010
    assert abs(moment_of(ids[0]) - shop.now) < timedelta(seconds=10)
    (earlier,) = new_ids(1, nanoseconds(shop.now) - 10**12)
    assert moment_of(earlier) == shop.now - timedelta(seconds=1000)  # the clock was set: no id of a wrong window
    assert moment_of("018cc251-f400-4000-8000-000000000000") is None
    shares = np.mean([int(i[-8:], 16) < 0.25 * 2**32 for i in ids])
    assert 0.22 < shares < 0.28
