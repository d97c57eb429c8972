from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidegate.privacy.retention import RETIRED, Needed, Row, give_up

NOW = datetime(2025, 1, 1, tzinfo=UTC)
AGE = timedelta(days=120)


def row(number, window="2024-01-01", *, table="served", digest="", files=True, days=300):
    return Row(number, table, "m", window, digest or f"d{number}", 5 if files else 0, {"f": "x"} if files else {},
               NOW - timedelta(days=days))  # fmt: skip


def given_up(rows, needed=None, **tables):
    return give_up(rows, tables, timedelta(days=90), needed or Needed(), NOW.date(), NOW)


def test_nothing_is_given_up_that_no_rule_names():
    assert given_up([row(1), row(2, "2023-01-01", table="batches")]) == give_up(
        [], {}, timedelta(days=90), Needed(), NOW.date(), NOW
    )


def test_a_former_content_goes_by_the_day_on_which_the_next_one_was_known():
    old, new = row(1, days=300), row(2, days=10)
    assert given_up([new, old]).former == ()
    assert given_up([old, row(2, days=91)]).former == (old,)
    assert given_up([old, row(2, days=91)], Needed(frozenset({"d1"}))).kept == 1


def test_what_a_version_was_trained_on_stays():
    rows = [row(1, "2024-01-01", table="batches"), row(2, "2024-02-01", table="batches")]
    gone = given_up(rows, Needed(since={("batches", "m"): "2024-02-01"}), batches=AGE)
    assert (gone.windows, gone.kept) == ((rows[0],), 1)
    gone = given_up(rows, Needed(frozenset({"d1"})), batches=AGE)
    assert (gone.windows, gone.kept) == ((rows[1],), 1)
    assert given_up(rows, Needed(since={("labels", "m"): "2023-01-01"}), batches=AGE).windows == tuple(rows)


def test_a_window_that_was_given_up_is_not_given_up_again():
    assert given_up([row(1, files=False), row(2, digest=RETIRED, files=False)], served=AGE).windows == ()


@given(
    st.lists(
        st.tuples(st.dates(date(2023, 6, 1), date(2024, 12, 31)), st.sampled_from(["served", "batches"]), st.booleans(),
                  st.integers(0, 500), st.sampled_from("abc")),
        max_size=30,
    )
)  # fmt: skip
def test_the_content_in_force_goes_only_with_its_window_and_nothing_needed_goes(made):
    rows = [row(i, w.isoformat(), table=t, files=f, days=d, digest=g) for i, (w, t, f, d, g) in enumerate(made)]
    gone = given_up(rows, Needed(frozenset("a"), {("batches", "m"): "2024-01-01"}), served=AGE, batches=AGE)
    newest = {(r.table, r.window): r for r in rows}
    assert all(newest[r.table, r.window] is not r for r in gone.former)
    assert all(newest[r.table, r.window] is r for r in gone.windows)
    assert all(r.digest != "a" and r.files for r in (*gone.former, *gone.windows))
    assert all(NOW.date() - date.fromisoformat(r.window) > AGE for r in gone.windows)
    assert all(not (r.table == "batches" and r.window >= "2024-01-01") for r in gone.windows)
