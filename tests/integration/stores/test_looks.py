"""The hold-out ledger in control: a look is written once, kept for good, and counted for a year."""

import threading

import pytest
from sqlalchemy import delete, update

from tidegate.adapters.looks import Look, Looks
from tidegate.adapters.schema import looks
from tidegate.errors import StoreError


@pytest.fixture
def kept(control):
    return Looks(control, "default")


def take(kept, known_at, version=1, look=1, window="2013-06-01", error=0.002, model="m"):
    return kept.take(model, "o", version, look, window, error, ["2013-04-01", "2013-05-30"], known_at)


def test_a_look_is_kept_as_it_was_taken(kept, known_at):
    first = take(kept, known_at)
    assert first == Look(1, 1, "2013-06-01", 0.002, ("2013-04-01", "2013-05-30"))
    assert take(kept, known_at, error=0.04, window="2013-07-01") == first, "a rerun spends nothing more"
    assert kept.of("m") == [first]
    assert kept.of("n") == Looks(kept.control, "other").of("m") == []


def test_a_year_counts_its_365_days_and_what_came_after(kept, known_at):
    for version, window in enumerate(("2012-06-01", "2012-06-02", "2013-05-31", "2013-06-20"), 1):
        take(kept, known_at, version=version, window=window)
    assert [k.window for k in kept.year("m", "2013-06-01")] == ["2012-06-02", "2013-05-31", "2013-06-20"]


def test_nobody_changes_or_deletes_a_look(kept, known_at):
    take(kept, known_at)
    for change in (update(looks).values(error=0.0), delete(looks)):
        with pytest.raises(StoreError, match="append-only"), kept.control.write() as c:
            c.execute(change)
    assert kept.of("m")[0].error == 0.002


def test_twenty_at_once_spend_the_error_of_one(kept, known_at):
    barrier = threading.Barrier(20)

    def run():
        barrier.wait()
        take(kept, known_at)

    threads = [threading.Thread(target=run) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(kept.of("m")) == 1


def test_no_year_spends_more_than_was_declared_whoever_asks(kept, known_at):
    for version in range(1, 5):
        kept.take("m", "o", version, 1, "2013-06-01", 0.02, ["2013-05-01"], known_at, year=0.05)
    assert [round(k.error, 6) for k in kept.of("m")] == [0.02, 0.02, 0.01, 0.0]
    assert kept.take("m", "o", 9, 1, "2014-06-02", 0.02, ["2014-05-01"], known_at, year=0.05).error == 0.02
