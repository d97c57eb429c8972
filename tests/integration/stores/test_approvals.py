"""Approvals and freezes in control: the first answer stands, rows stay as they are, the ledger has each."""

import datetime as dt
import threading

import pytest
from sqlalchemy import delete, update

from tidegate.adapters import ledger
from tidegate.adapters.approvals import Approvals, Subject
from tidegate.adapters.control import open_control
from tidegate.adapters.freezes import Freeze, Freezes
from tidegate.adapters.schema import approvals, freezes
from tidegate.errors import StoreError, UsageError
from tidegate.gate.approval import Said, standing
from tidegate.lineage.chain import broken_at

ABOUT = Subject("m", 3, "o", "2013-03-01")
WEEK = dt.timedelta(days=7)
BODY = {"look": 1, "window": "2013-03-01", "against": 2, "evidence": "e"}


@pytest.fixture
def rows(control):
    return Approvals(control, "default")


@pytest.fixture
def asked(known_at):
    return Said("request", "tidegate", "", known_at + WEEK, known_at, BODY)


def answer(what, at, by="ann", until=None):
    return Said(what, by, "so", until, at, BODY)


def test_a_request_is_made_once_and_again_only_after_it_lapsed(rows, asked, known_at):
    assert rows.request(ABOUT, asked)
    assert not rows.request(ABOUT, asked)
    later = Said("request", "tidegate", "", known_at + WEEK + WEEK, known_at + WEEK / 2, BODY)
    assert not rows.request(ABOUT, later)
    assert rows.of("m", 3) == (asked,)
    again = Said("request", "tidegate", "", known_at + 2 * WEEK, known_at + WEEK, BODY)
    assert rows.request(ABOUT, again)
    # A rerun of the night that asked first does not ask a third time.
    assert not rows.request(ABOUT, asked)
    assert rows.of("m", 3) == (asked, again)
    assert rows.of("m", 4) == rows.of("n", 3) == Approvals(rows.control, "other").of("m", 3) == ()


def test_another_look_is_another_request(rows, asked, known_at):
    rows.request(ABOUT, asked)
    other = Said("request", "tidegate", "", known_at + WEEK, known_at + dt.timedelta(days=1), {**BODY, "look": 2})
    assert rows.request(ABOUT, other)


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_the_first_answer_stands_and_the_second_is_told_of_it(rows, asked, known_at, what):
    rows.request(ABOUT, asked)
    # Long after the request lapsed, too.
    at = known_at + 5 * WEEK
    rows.answer(ABOUT, answer(what, at))
    for other in ("approve", "reject", "override"):
        with pytest.raises(UsageError, match=rf"found ann {what}.* on 2013-04-06 05:00 UTC"):
            rows.answer(ABOUT, answer(other, at + WEEK, by="bob"))
    assert not rows.request(ABOUT, Said("request", "tidegate", "", at + 9 * WEEK, at + WEEK, BODY))
    assert [r.what for r in rows.of("m", 3)] == ["request", what]


def test_an_override_can_be_renewed_when_it_is_over(rows, known_at):
    rows.answer(ABOUT, answer("override", known_at, until=known_at + WEEK))
    with pytest.raises(UsageError, match="ann overrode the gate"):
        rows.answer(ABOUT, answer("override", known_at, by="bob", until=known_at + WEEK))
    rows.answer(ABOUT, answer("override", known_at + WEEK, by="bob", until=known_at + 2 * WEEK))
    assert standing(rows.of("m", 3), known_at + WEEK) == "overridden"


def test_of_eight_answers_at_once_one_stands(tmp_path, rows, asked, known_at):
    rows.request(ABOUT, asked)
    barrier, told = threading.Barrier(8), []

    def act(i):
        mine = Approvals(open_control(tmp_path / "var"), "default")
        barrier.wait()
        try:
            mine.answer(ABOUT, answer("approve" if i % 2 else "reject", known_at, by=f"p{i}"))
        except UsageError as fault:
            told.append(fault.found)

    threads = [threading.Thread(target=act, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    _, stands = rows.of("m", 3)
    assert told == [stands.words] * 7
    assert len(ledger.entries(rows.control, "default", "m", "approval")) == 2


def test_rows_are_never_changed(rows, asked):
    rows.request(ABOUT, asked)
    for change in (update(approvals).values(by="mallory"), delete(approvals)):
        with pytest.raises(StoreError, match="append-only"), rows.control.write() as c:
            c.execute(change)
    assert rows.of("m", 3) == (asked,)


def test_each_row_is_in_the_ledger_and_an_override_is_loud(rows, asked, known_at):
    rows.request(ABOUT, asked)
    over = Said("override", "ann", "sale", known_at + WEEK, known_at, {**BODY, "skipped": ["performance"]})
    rows.answer(ABOUT, over)
    [request] = ledger.entries(rows.control, "default", "m", "approval")
    assert (request["body"]["what"], request["body"]["body"]["evidence"]) == ("request", "e")
    [loud] = ledger.entries(rows.control, "default", "m", "override")
    assert loud["window"] == "2013-03-01"
    assert loud["body"] == {
        "what": "OVERRIDE", "version": 3, "by": "ann", "reason": "sale", "until": (known_at + WEEK).isoformat(),
        "body": {**BODY, "skipped": ["performance"]},
    }  # fmt: skip
    assert broken_at(ledger.entries(rows.control, "default")) is None


def test_a_freeze_holds_through_its_last_date(control, known_at):
    stored = Freezes(control, "default")
    made = Freeze("m", "ann", "sale", "2013-03-05", known_at)
    assert stored.running("m", "2013-03-02") is None
    stored.add(made, owner="o", window="2013-03-02")
    assert stored.running("m", "2013-03-05") == made
    assert stored.running("m", "2013-03-06") is None
    assert stored.running("n", "2013-03-02") is Freezes(control, "other").running("m", "2013-03-02") is None
    assert made.words == "frozen by ann until 2013-03-05: sale"


def test_a_new_freeze_replaces_the_old_and_every_row_stays(control, known_at):
    stored = Freezes(control, "default")
    stored.add(Freeze("m", "ann", "sale", "2013-03-05", known_at), owner="o", window="2013-03-02")
    stored.add(Freeze("m", "bob", "audit", None, known_at), owner="o", window="2013-03-02")
    assert stored.running("m", "2099-01-01").words == "frozen by bob until it is ended: audit"
    stored.end("m", owner="o", by="cid", window="2013-03-03", at=known_at + WEEK)
    assert stored.running("m", "2013-03-03") is None
    with pytest.raises(UsageError, match="expected a frozen model, found none"):
        stored.end("m", owner="o", by="cid", window="2013-03-03", at=known_at)
    with control.read() as c:
        assert [(r.by, r.ended_by) for r in c.execute(freezes.select())] == [("ann", "bob"), ("bob", "cid")]
    told = [(e["body"]["what"], e["body"]["by"]) for e in ledger.entries(control, "default", "m", "freeze")]
    assert told == [("freeze", "ann"), ("freeze", "bob"), ("unfreeze", "cid")]
