"""Training sets: their nights, and which is taken."""

from datetime import date, timedelta

import numpy as np
import pytest

from tidegate.performance.tally import NO_CONFUSION, NO_HIST, Tally
from tidegate.training.windows import choose_set, training_sets


def run(first, count):
    return [(date.fromisoformat(first) + timedelta(days=i)).isoformat() for i in range(count)]


YEARS = run("2011-01-01", 900)  # to 2013-06-18


def named(nights, names=("recent", "season", "clean"), unclean=(), recent=120, least=28):
    return {s.name: s for s in training_sets(names, nights, set(unclean), recent=recent, least=least)}


def test_the_season_is_that_of_earlier_years_and_the_newest_nights():
    season = named(YEARS)["season"].nights
    assert season[-120:] == tuple(YEARS[-120:])
    older = season[:-120]
    assert {n[:4] for n in older} == {"2011", "2012"}
    assert (older[0], older[90]) == ("2011-05-04", "2011-08-02")
    assert len(older) == 2 * 91
    assert list(season) == sorted(set(season))


def test_a_season_crosses_the_new_year_and_leap_days():
    nights = run("2011-06-01", 950)  # to 2014-01-05
    older = [n for n in named(nights, recent=28)["season"].nights if n < "2013-06-01"]
    assert (older[0], older[-1]) == ("2011-11-21", "2013-02-19")
    leap = named(run("2011-01-01", 425), recent=28)["season"].nights  # to 2012-02-29
    assert (leap[0], leap[-29]) == ("2011-01-14", "2011-04-14")


def test_less_than_a_year_has_no_season():
    found = named(run("2013-03-01", 300))["season"]
    assert (found.nights, found.why) == ((), "not available: less than a year of history")


def test_clean_leaves_out_the_nights_with_quarantined_rows():
    nights = run("2013-01-01", 60)
    assert named(nights, unclean=nights[3:5])["clean"].nights == (*nights[:3], *nights[5:])
    assert named(nights)["clean"].why == "not available: the same 60 nights as all history"
    assert named(nights, unclean=nights[3:])["clean"].why == "not available: 3 nights, 28 needed"


def test_all_is_there_whether_declared_or_not():
    assert list(named(YEARS, ("clean", "all", "clean"))) == ["all", "clean"]
    assert named([], ("recent", "season"))["season"].why
    assert named([])["all"].nights == ()


# -- which is taken ---------------------------------------------------------------------------

HELD = run("2013-06-01", 27)
RNG = np.random.default_rng(8)
SHOCK = RNG.normal(0, 0.1, len(HELD))


def nightly(loss, noise=0.0):
    values = loss + SHOCK + RNG.normal(0, noise, len(HELD)) if noise else loss + SHOCK
    return {n: Tally({"n": 900.0, "log_loss": 900 * float(v)}, NO_HIST, NO_CONFUSION)
            for n, v in zip(HELD, np.broadcast_to(values, len(HELD)), strict=True)}  # fmt: skip


@pytest.fixture(scope="module")
def model(a_model):
    return a_model(metric={"primary": "log_loss"}, gate={"block_nights": 3}, decision={"confidence": 0.8})


def chosen(model, tested, names=("recent", "clean")):
    nights = run("2012-01-01", 300)
    sets = training_sets(names, nights, {nights[0]}, recent=120, least=28)
    return choose_set(model, sets, tested, HELD)


def test_the_best_of_those_proven_better_is_taken(model):
    found = chosen(model, {"all": nightly(0.5), "recent": nightly(0.45, 0.01), "clean": nightly(0.4, 0.01)})
    assert (found.name, found.tried) == ("clean", 3)
    assert found.why.startswith("clean: log_loss better by +0.")
    spec = found.as_spec(1000)
    assert [s["name"] for s in spec["sets"]] == ["all", "recent", "clean"]
    assert (spec["chosen"], spec["known_rows"], spec["tried"]) == ("clean", 1000, 3)
    assert spec["sets"][1]["lower"] > 0


@pytest.mark.parametrize("other", [0.5, 0.6])
def test_what_is_not_proven_better_is_not_taken(model, other):
    found = chosen(model, {"all": nightly(0.5), "recent": nightly(other, 0.05)}, ("recent",))
    assert (found.name, found.tried) == ("all", 2)
    assert "no other set is proven better: recent: log_loss better by" in found.why


def test_the_level_is_shared_over_the_sets(model):
    """A gain that is proven at the whole error, and not at half of it."""
    values = np.tile(np.repeat([-0.4, 1.6], [5, 4]), 1)
    lift = np.repeat(values, 3)
    theirs, base = nightly(0.5 - 0.1 * (lift - lift.mean() + 0.35)), nightly(0.5)
    alone = chosen(model, {"all": base, "recent": theirs}, ("recent",))
    both = chosen(model, {"all": base, "recent": theirs, "clean": nightly(0.9)})
    assert alone.sets[1]["gain"] == both.sets[1]["gain"]
    assert alone.sets[1]["lower"] > both.sets[1]["lower"]
    assert (both.tried, alone.tried) == (3, 2)


def test_a_set_without_a_test_is_not_taken_and_says_why(model):
    tested = {"all": nightly(0.5), "recent": "recent: rows of 1 of 2 classes", "clean": nightly(0.4)}
    found = chosen(model, tested, ("recent", "season", "clean"))
    assert (found.name, found.tried) == ("clean", 2)
    assert [s["why"] for s in found.sets][1:3] == [
        "recent: rows of 1 of 2 classes",
        "not available: less than a year of history",
    ]
    alone = chosen(model, {"all": "no set could be tested: 3 nights", "recent": nightly(0.1)}, ("recent",))
    assert (alone.name, alone.tried) == ("all", 1)
    assert alone.why.startswith("no set could be tested: 3 nights")
    undefined = {n: Tally({"n": 900.0}, NO_HIST, NO_CONFUSION) for n in HELD}
    assert chosen(model, {"all": undefined, "recent": undefined}, ("recent",)).name == "all"


def test_where_nothing_differs_another_set_is_seldom_taken(a_model):
    """Chance alone takes another set in at most the declared share of choices."""
    model, rng, taken = a_model(metric={"primary": "log_loss"}, gate={"block_nights": 3}), np.random.default_rng(90), 0
    for _ in range(300):
        noise = rng.normal(0, 0.05, (3, len(HELD)))
        tested = {
            name: {n: Tally({"n": 900.0, "log_loss": 900 * (0.5 + float(v))}, NO_HIST, NO_CONFUSION)
                   for n, v in zip(HELD, row, strict=True)}
            for name, row in zip(("all", "recent", "clean"), noise, strict=True)
        }  # fmt: skip
        taken += chosen(model, tested).name != "all"
    assert taken / 300 <= 0.2 + 2 * (0.2 * 0.8 / 300) ** 0.5
