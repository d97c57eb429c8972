import datetime as dt

import numpy as np
import pytest

from tidegate.adapters import ledger
from tidegate.adapters.records import Records
from tidegate.errors import StoreError, UsageError
from tidegate.lineage.chain import broken_at
from tidegate.verdicts import Alarm, Verdict


@pytest.fixture
def records(control):
    return Records(control, "default")


def entry(control, known_at, **more):
    values = {"namespace": "default", "owner": "o", "model": "m", "kind": "plan", "window": None, "at": known_at}
    with control.write() as c:
        return ledger.append(c, **{**values, "body": {}, **more})


def test_the_ledger_refuses_changes(control, known_at):
    entry(control, known_at)
    for change in ("update ledger set body = '{}'", "delete from ledger"):
        with pytest.raises(StoreError, match="append-only"), control.write() as c:
            c.exec_driver_sql(change)
    assert len(ledger.entries(control, "default")) == 1


def test_tampering_with_the_ledger_file_is_found(control, known_at):
    for n in range(5):
        entry(control, known_at, body={"n": np.int64(n), "f": 0.1 + n, "nan": float("nan")}, model=f"m{n % 2}")
        entry(control, known_at, namespace="other", body={"n": n})
    assert broken_at(ledger.entries(control, "default")) is None
    assert broken_at(ledger.entries(control, "other")) is None
    assert [e["body"]["n"] for e in ledger.entries(control, "default", "m1")] == [1, 3]
    with control.write() as c:
        c.exec_driver_sql("drop trigger ledger_refuses_update")
        c.exec_driver_sql("""update ledger set body = '{"n": 7}' where seq = 5""")
    assert broken_at(ledger.entries(control, "default")) == 5
    assert broken_at(ledger.entries(control, "other")) is None


def test_a_naive_moment_is_not_signed(control):
    with pytest.raises(UsageError, match="timezone-aware"):
        entry(control, dt.datetime(2013, 3, 1))


def test_verdicts_are_kept_and_the_newest_wins(records, known_at):
    good = Verdict("pass", ("all well",), {"n": np.int64(3), "share": np.float32(0.5)})
    bad = Verdict("fail", ("too few rows",))
    assert records.put_verdict("flights", "quality", "2013-03-01", good, known_at)
    assert not records.put_verdict("flights", "quality", "2013-03-01", good, known_at)
    assert records.verdict("flights", "quality", "2013-03-01") == Verdict("pass", ("all well",), {"n": 3, "share": 0.5})
    assert records.put_verdict("flights", "quality", "2013-03-01", bad, known_at)
    assert records.put_verdict("flights", "quality", "2013-03-02", good, known_at)
    assert list(records.verdicts("flights", "quality")) == ["2013-03-01", "2013-03-02"]
    assert records.verdict("flights", "quality", "2013-03-01") == bad
    assert records.verdicts("flights", "quality", []) == {}
    assert records.verdict("flights", "drift", "2013-03-01") is None
    assert Records(records.control, "other").verdicts("flights", "quality") == {}


def test_versions_move_on_and_never_change_their_bytes(records, known_at):
    one = {"owner": "o", "digest": "d1", "status": "candidate", "body": {"auc": np.float64(0.7)}, "known_at": known_at}
    records.put_version("m", 2, **one)
    records.put_version("m", 1, **one)
    records.set_status("m", 2, "champion", why={"gate": "pass"})
    records.put_version("m", 2, **one)  # a rerun changes nothing
    with pytest.raises(StoreError, match="version 2 of m: expected digest d2, found d1"):
        records.put_version("m", 2, **{**one, "digest": "d2"})
    with pytest.raises(StoreError, match="version 9 of m"):
        records.set_status("m", 9, "champion")
    first, second = records.versions("m")
    assert (first["version"], first["status"]) == (1, "candidate")
    assert (second["status"], second["body"]) == ("champion", {"auc": 0.7, "why": {"gate": "pass"}})
    assert second["known_at"] == known_at


def test_alarms_and_grids_are_stored_once(records, known_at):
    alarm = Alarm("2013-03-01", "drift", "dep_hour", "page", "2013-02-27", "text", "tidegate status")
    records.put_alarms("m", "o", [], known_at)
    records.put_alarms("m", "o", [alarm, alarm], known_at)
    records.put_alarms("m", "o", [alarm], known_at)
    assert records.alarms("m") == [alarm]
    assert records.grid("flights") is None
    records.put_grid("flights", {"edges": [1, 2]}, "d1", known_at)
    records.put_grid("flights", {"edges": [3]}, "d2", known_at)
    assert records.grid("flights") == {"edges": [1, 2]}
