"""What a fresh process reports, judged; and the edge rows that it is asked about."""

import math
import re

import pyarrow as pa
import pytest

from tidegate.config.gating import Servability
from tidegate.gate.edges import edges_of
from tidegate.gate.line import Line
from tidegate.gate.servability import servability

SETTINGS = Servability()


def report(**changed):
    """A report in which all is well, but for what is changed."""
    same = {"rows": 64, "difference": 0.0, "fault": None}
    edges = [{"name": "empty batch", "kind": "empty", "rows": 0, "fault": None, "difference": 0.0},
             {"name": "reversed", "kind": "order", "rows": 9, "fault": None, "difference": 0.0},
             {"name": "x null", "kind": "nulls", "rows": 8, "fault": None}]  # fmt: skip
    whole = {
        "expected_digest": "a" * 64, "digest": "a" * 64, "load_seconds": 1.0, "probe": same,
        "recent": {**same, "rows": 10_000}, "edges": edges, "batch_seconds": 1.0, "p50_ms": 1.0, "p95_ms": 2.0,
        "p99_ms": 3.0, "alone": 0.0, "singles": 100, "memory_mib": 50.0, "found": {"numpy": ["2.0", "2.0"]},
    }  # fmt: skip
    return {k: v for k, v in (whole | changed).items() if v is not ...}


def failed(**changed):
    check = servability(report(**changed), SETTINGS)
    return check.verdict.outcome, [line.name for line in check.lines if line.outcome != "pass"]


def test_all_well_passes_and_says_so():
    check = servability(report(), SETTINGS)
    assert check.verdict.outcome == "pass"
    assert check.n == 10_000
    assert check.extra["p95_ms"] == 2.0
    assert all(line.reason for line in check.lines)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"digest": "b" * 64}, "package"),
        ({"probe": {"rows": 64, "difference": 1.1e-9}}, "probe"),
        ({"probe": {"rows": 64, "difference": math.nan}}, "probe"),
        ({"probe": {"rows": 0, "difference": 0.0}}, "probe"),
        ({"probe": None}, "probe"),
        ({"recent": {"rows": 64, "difference": None, "fault": "ValueError: no"}}, "replay"),
        ({"alone": 1e-3}, "alone"),
        ({"alone": None}, "alone"),
        ({"alone": ...}, "alone"),
        ({"p95_ms": 200.1}, "latency"),
        ({"p95_ms": math.nan}, "latency"),
        ({"p95_ms": "fast"}, "latency"),
        ({"batch_seconds": 31}, "batch"),
        ({"memory_mib": 1025}, "memory"),
        ({"memory_mib": True}, "memory"),
        ({"speed_fault": "no rows to score"}, "speed"),
        ({"found": {}}, "libraries"),
        ({"found": {"numpy": ["2.0", None]}}, "libraries"),
        ({"found": {"numpy": ["2.0", "2.1"]}}, "libraries"),
        ({"refused": "a type"}, "loads"),
        ({"crashed": "ended by SIGSEGV"}, "loads"),
    ],
)
def test_each_thing_that_is_wrong_fails_its_own_line(changed, line):
    outcome, names = failed(**changed)
    assert outcome == "fail"
    assert names == [line]


def test_edges_fail_by_kind_and_those_that_were_not_answered_fail_too():
    wrong = {"name": "y largest", "kind": "unbounded", "rows": 8, "fault": "ValueError: infinity"}
    check = servability(report(edges=[*report()["edges"], wrong]), SETTINGS)
    [line] = [line for line in check.lines if line.outcome == "fail"]
    assert (line.n, line.observed) == (1, 1)
    assert re.search(r"y largest: ValueError: infinity; declare min and max", line.reason)
    apart = [{**e, "difference": 1e-6} if e["kind"] == "order" else e for e in report()["edges"]]
    assert failed(edges=apart)[1] == ["edge rows: rows alone and in reverse"]
    for nothing in (None, [], "all"):
        assert len(failed(edges=nothing)[1]) == 2


def test_no_recent_rows_is_inconclusive_and_an_empty_report_fails():
    assert failed(recent=None) == ("inconclusive", ["replay"])
    assert servability({}, SETTINGS).verdict.outcome == "fail"


def test_lines_from_elsewhere_decide_as_well():
    more = Line("batches", "digests", "fail", 1.0, 0.0, "batches: not as control had them")
    assert servability(report(), SETTINGS, [more]).verdict.reasons == (more.reason,)


def names_of(rows, types, columns):
    return {e.name: e for e in edges_of(rows, types, columns)}


def test_an_unseen_word_fits_its_pattern_and_declared_values_are_all_tried():
    rows = pa.table({"carrier": ["UA", "B6", None], "origin": ["EWR", "JFK", "EWR"], "note": ["unseen 0", "x", "y"]})
    types = {"carrier": "category", "origin": "category", "note": "text"}
    columns = {
        "carrier": {"nullable": False, "pattern": "[A-Z0-9]{2}"},
        "origin": {"nullable": False, "values": ["EWR", "JFK", "LGA"]},
    }
    edges = names_of(rows, types, columns)
    [word] = set(edges["carrier unseen"].rows["carrier"].to_pylist())
    assert re.fullmatch("[A-Z0-9]{2}", word)
    assert word not in ("UA", "B6")
    assert {"origin 'EWR'", "origin 'JFK'", "origin 'LGA'"} < set(edges)
    assert set(edges["note unseen"].rows["note"].to_pylist()) == {"unseen 1"}
    assert [n for n in edges if n.endswith("null")] == ["note null", "all null"]
    # No word fits a pattern that allows only what was seen.
    assert "carrier unseen" not in names_of(rows, types, {"carrier": {"pattern": "UA|B6"}})


def test_extremes_are_the_contracts_where_it_has_them_and_the_machines_where_not():
    import datetime as dt

    rows = pa.table({
        "a": [1.0], "b": [2.0], "k": pa.array([3], pa.int16()), "f": pa.array([1.0], pa.float32()),
        "at": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
    })  # fmt: skip
    types = {"a": "number", "b": "number", "k": "integer", "f": "number", "at": "timestamp"}
    edges = names_of(rows, types, {"a": {"min": 0, "max": 9}, "b": {"min": -5}})
    assert (edges["a least"].rows["a"][0].as_py(), edges["a largest"].rows["a"][0].as_py()) == (0, 9)
    assert [edges[n].kind for n in ("a least", "b least", "b largest")] == ["extremes", "extremes", "unbounded"]
    assert edges["b largest"].rows["b"][0].as_py() == pytest.approx(1.797e308, rel=1e-3)
    assert edges["k largest"].rows["k"][0].as_py() == 2**15 - 1
    assert math.isfinite(edges["f largest"].rows["f"][0].as_py())
    assert edges["all largest"].rows["a"][0].as_py() == 9
    assert edges["all largest"].rows["b"][0].as_py() == 2.0
    assert edges["at least"].rows["at"][0].as_py().year == 1970
    assert all(e.rows.schema.types == rows.schema.types for e in edges.values())
