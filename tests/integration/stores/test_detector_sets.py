"""Sets of limits in control: proposed once, one in force, races decided, the ledger says who."""

import threading

import pytest

from tidegate.adapters import ledger
from tidegate.adapters.control import open_control
from tidegate.adapters.detectors import DetectorSets
from tidegate.errors import UsageError

BODY = {"version": "v", "budget": 1.0, "nights": 60, "sudden": 4.5, "gradual": 9.0, "rates": [0.1, 0.8]}
WHO = {"owner": "o", "by": "ann", "reason": "too quiet", "window": "2013-03-01"}


@pytest.fixture
def sets(control):
    return DetectorSets(control, "default")


@pytest.fixture
def propose(sets, known_at):
    def make(sudden=4.5, version=1, model="m", of=sets):
        return of.propose(model, "o", version, "2013-03-01", {**BODY, "sudden": sudden}, known_at)

    return make


def at_once(count, act):
    """What `count` threads answer that act together; a fault is its words."""
    barrier, said = threading.Barrier(count), []

    def run(i):
        barrier.wait()
        try:
            said.append(act(i))
        except UsageError as fault:
            said.append(str(fault))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return said


def status(sets):
    return {d.number: d.status for d in sets.all("m")}


def test_the_same_set_again_is_the_one_already_there(sets, propose, known_at):
    first = propose()
    assert propose() == first
    assert len({first, propose(5.0), propose(version=2), propose(model="n")}) == 4
    sets.approve("m", first, at=known_at, **WHO)
    assert propose() == first
    assert propose(of=DetectorSets(sets.control, "other")) != first
    [found] = [d for d in sets.all("m") if d.number == first]
    assert (found.body, found.status, found.since, found.known_at) == (BODY, "active", "2013-03-01", known_at)


def test_a_retired_set_is_proposed_anew(sets, propose):
    first = propose()
    sets.retire("m", first)
    again = propose()
    assert status(sets) == {first: "retired", again: "beside"}


def test_an_approved_set_retires_the_other_and_the_ledger_says_so(sets, propose, known_at):
    one, two = propose(), propose(5.0)
    sets.approve("m", one, at=known_at, **WHO)
    sets.approve("m", two, at=known_at, **{**WHO, "by": "bob", "window": "2013-03-05"})
    assert status(sets) == {one: "retired", two: "active"}
    first, second = ledger.entries(sets.control, "default", "m", "detectors")
    assert (first["body"]["from"], first["body"]["to"], first["body"]["reason"]) == (None, one, "too quiet")
    assert (second["body"]["from"], second["body"]["to"], second["body"]["by"]) == (one, two, "bob")
    assert second["body"]["limits"] == {**BODY, "sudden": 5.0}
    assert second["window"] == "2013-03-05"
    sets.approve("m", two, at=known_at, **WHO)
    assert len(ledger.entries(sets.control, "default", "m", "detectors")) == 2


def test_the_active_set_comes_first_of_those_that_run(sets, propose, known_at):
    one, two, three, gone = propose(), propose(5.0), propose(6.0), propose(7.0)
    sets.approve("m", two, at=known_at, **WHO)
    sets.retire("m", gone)
    assert [d.number for d in sets.running("m")] == [two, one, three]
    assert sets.running("n") == []


def test_what_is_not_there_or_was_retired_is_refused(sets, propose, known_at):
    mine, theirs = propose(), propose(model="n")
    sets.approve("m", mine, at=known_at, **WHO)
    for number in (theirs, 99, mine):
        with pytest.raises(UsageError, match="runs beside the active one, found none"):
            sets.retire("m", number)
    for number, found in ((theirs, "found none"), (99, "found none")):
        with pytest.raises(UsageError, match=found):
            sets.approve("m", number, at=known_at, **WHO)
    other = propose(5.0)
    sets.retire("m", other)
    with pytest.raises(UsageError, match="found a retired one"):
        sets.approve("m", other, at=known_at, **WHO)
    assert status(sets)[mine] == "active"


def test_many_who_propose_the_same_set_at_once_get_one_number(sets, propose, tmp_path):
    assert len(set(at_once(8, lambda i: propose(of=DetectorSets(open_control(tmp_path / "var"), "default"))))) == 1
    assert len(sets.all("m")) == 1


def test_of_many_approvals_at_once_one_set_is_in_force_and_each_is_in_the_ledger(sets, propose, known_at, tmp_path):
    numbers = [propose(4.0 + i) for i in range(6)]

    def approve(i):
        mine = DetectorSets(open_control(tmp_path / "var"), "default")
        return mine.approve("m", numbers[i], at=known_at, **{**WHO, "by": f"p{i}"})

    said = at_once(6, approve)
    chain = [(e["body"]["from"], e["body"]["to"]) for e in ledger.entries(sets.control, "default", "m", "detectors")]
    # Each retired the one before it: no set was in force twice, and none beside another.
    assert [before for before, _ in chain] == [None, *(to for _, to in chain[:-1])]
    assert [n for n, s in status(sets).items() if s == "active"] == [chain[-1][1]]
    assert len(chain) == said.count(True) == 6


def test_a_set_is_retired_or_approved_but_not_both(sets, propose, known_at):
    for k in range(10):
        number = propose(4.0 + k)
        acts = (lambda n=number: sets.approve("m", n, at=known_at, **WHO), lambda n=number: sets.retire("m", n))
        said = at_once(2, lambda i, acts=acts: acts[i]())
        assert sum(isinstance(answer, str) for answer in said) == 1
        assert status(sets)[number] in ("active", "retired")
        [refused] = [s for s in said if isinstance(s, str)]
        assert ("found a retired one" in refused) == (status(sets)[number] == "retired")
