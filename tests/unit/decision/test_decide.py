from dataclasses import replace
from datetime import date, timedelta

import pytest

from tidegate.decision.decide import Standing, decide
from tidegate.decision.limits import Attempt
from tidegate.decision.options import nothing, unknown, weigh
from tidegate.performance.blocks import Estimate
from tidegate.verdicts import Verdict

DECAYED = {"decay": Verdict("fail", ("roc_auc fell by 0.05",), {"change": -0.05})}
GROWN = {"more_data": Verdict("fail", ("1.6 times",))}
CALM = {"decay": Verdict("pass", ("changed by +0.001",)), "more_data": Verdict("inconclusive", ("not known",))}
DAY = date(2013, 6, 12)


def retrains(*windows, promoted=True):
    return tuple(Attempt(w, "retrain", promoted) for w in windows)


READY = Standing(DAY, champion=1, matured_nights=120, unseen_nights=60, attempts=retrains(date(2013, 3, 1)))
SURE, UNSURE = Estimate(0.05, 0.01, 10), Estimate(0.05, 0.2, 10)


@pytest.fixture(scope="module")
def model(a_model):
    return a_model()


def paying(model, gain=SURE, **others):
    """Retraining with this gain, and other actions with theirs."""
    gains = {"retrain": gain, **others}
    return [nothing(model, 20000), *(weigh(model, action, g, 20000, "measured") for action, g in gains.items())]


def act(model, at, evidence=None, options=None):
    found = decide(model, at, DECAYED if evidence is None else evidence, paying(model) if options is None else options)
    return found.action, found.reason


def test_what_surely_pays_is_done_and_the_losers_are_kept(model):
    found = decide(model, READY, {**DECAYED, "more_data": CALM["more_data"]}, paying(model, roll_back=UNSURE))
    assert (found.action, found.reason, found.window, found.acts) == ("retrain", "decay", "2013-06-12", True)
    assert found.losing["nothing"].endswith("net +1,000 nats of log loss (823.3 to 1,177) over 20,000 rows")
    assert found.losing["roll_back"].startswith("gains +0.05 ± 0.2")
    assert found.losing["because of decay"] == "roc_auc fell by 0.05"
    assert found.numbers["decay"] == {"change": -0.05}
    assert [o.action for o in found.options] == ["nothing", "retrain", "roll_back"]


def test_the_first_reason_is_named(model):
    assert act(model, READY, GROWN) == ("retrain", "more_data")
    assert act(model, READY, DECAYED | GROWN) == ("retrain", "decay")
    assert act(model, READY, CALM) == ("retrain", "pays")


def test_the_largest_net_gain_wins(a_model):
    costs = {"costs": {"retrain": {"review": 900}}}
    model = a_model(kpi={"false_positive": -1}, decision=costs)
    assert act(model, READY, options=paying(model, recalibrate=Estimate(0.02, 0.004, 10)))[0] == "recalibrate"
    assert act(model, READY, options=paying(model, roll_back=Estimate(0.06, 0.004, 10)))[0] == "roll_back"
    free = a_model(kpi={"false_positive": -1})
    assert act(free, READY, options=paying(free, recalibrate=Estimate(0.02, 0.004, 10)))[0] == "retrain"


@pytest.mark.parametrize("evidence", [CALM, DECAYED, {}])
def test_what_does_not_surely_pay_is_not_done(model, evidence):
    nan = Estimate(float("nan"), float("nan"), 0)
    for gain in (UNSURE, Estimate(-0.05, 0.01, 10), Estimate(0.0, 0.0, 10), nan):
        assert act(model, READY, evidence, paying(model, gain)) == ("nothing", "nothing pays")
    assert act(model, READY, evidence, [unknown(model, "retrain", 10, "no labels")])[0] == "nothing"


def test_nothing_is_done_where_nothing_was_weighed(model):
    found = decide(model, READY, CALM)
    assert (found.action, found.reason, found.options) == ("nothing", "no reason to act", ())
    assert list(found.losing) == ["because of decay", "because of more_data"]
    again = decide(model, replace(READY, next_weighing=DAY + timedelta(days=3)), DECAYED)
    assert again.reason == f"weighed before, options are weighed again on {DAY + timedelta(days=3)}"


def test_recommended_is_not_carried_out(a_model):
    model = a_model(decision={"mode": "recommend"})
    found = decide(model, READY, DECAYED, paying(model))
    assert (found.action, found.acts) == ("retrain", False)
    first = decide(model, replace(READY, champion=None, attempts=()), {})
    assert (first.action, first.acts) == ("retrain", True)  # a home without a model has nothing to protect


def test_faulty_data_are_mended_before_a_model_learns_from_them(model):
    mend = {"fix_data": Estimate(0.2, 0.01, 10)}
    found = decide(model, READY, DECAYED, paying(model, **mend))
    assert (found.action, found.acts) == ("fix_data", False)
    assert "retrain" in found.losing


@pytest.mark.parametrize(
    "at",
    [READY, replace(READY, champion=None), replace(READY, candidate=2, next_look=DAY)],
    ids=["champion", "no champion", "candidate"],
)
@pytest.mark.parametrize("policy", ["evidence", "monthly", "never"])
def test_a_blocked_window_asks_for_its_data(a_model, at, policy):
    found = decide(a_model(retrain={"policy": policy}), replace(at, blocked=True), DECAYED)
    assert found.action == "fix_data"
    assert "retrain" in found.losing


@pytest.mark.parametrize("at", [READY, replace(READY, champion=None)])
def test_a_monitor_only_model_is_never_trained(a_model, at):
    assert act(a_model(estimator={}), at) == ("nothing", "monitor-only model")
    model = a_model(estimator={})
    assert act(model, at, options=paying(model, fix_data=Estimate(0.2, 0.01, 10)))[0] == "fix_data"


def test_a_waiting_candidate_is_looked_at_before_another_is_trained(model):
    for look, action in ((DAY + timedelta(days=1), "nothing"), (DAY, "regate"), (DAY - timedelta(days=9), "regate")):
        found = decide(model, replace(READY, candidate=2, next_look=look), DECAYED)
        assert found.action == action
        assert found.losing == {"retrain": "candidate 2 is waiting for evidence"}


def test_a_candidate_whose_first_look_was_cut_short_is_looked_at(model):
    assert act(model, replace(READY, candidate=2, next_look=None))[0] == "regate"


@pytest.mark.parametrize(("nights", "action"), [(27, "nothing"), (28, "retrain")])
def test_a_first_model_needs_nights(a_model, nights, action):
    for policy in ("evidence", "monthly", "never"):
        model = a_model(retrain={"first_nights": 28, "policy": policy})
        at = Standing(DAY, champion=None, matured_nights=nights, unseen_nights=nights)
        assert act(model, at, {}, [])[0] == action


def test_a_first_model_that_failed_waits_for_the_cooldown(model):
    at = Standing(DAY, champion=None, matured_nights=90, unseen_nights=90, attempts=retrains(DAY - timedelta(days=27)))
    assert act(model, at, {}) == ("nothing", f"cooldown until {DAY + timedelta(days=1)}")
    assert act(model, replace(at, window=DAY + timedelta(days=1)), {}) == ("retrain", "first_model")


def test_never_means_never(a_model):
    assert act(a_model(retrain={"policy": "never"}), READY, DECAYED | GROWN)[0] == "nothing"


def test_the_cooldown_ends_on_the_day_that_it_names(a_model):
    for cooldown, nights in ((timedelta(days=28), 28), (timedelta(hours=36), 2), (timedelta(0), 0)):
        model = a_model(retrain={"cooldown": cooldown})
        end = READY.attempts[0].window + timedelta(days=nights)
        if nights:
            early = act(model, replace(READY, window=end - timedelta(days=1)))
            assert early == ("nothing", f"retrain would pay: cooldown until {end}")
        assert act(model, replace(READY, window=end))[0] == "retrain"


def test_an_old_window_run_again_starts_nothing(model):
    later = replace(READY, attempts=retrains(DAY, DAY + timedelta(days=90)))
    assert act(model, later)[0] == "nothing"
    assert act(model, replace(READY, attempts=retrains(DAY)))[0] == "nothing"


def test_the_budget_is_of_a_rolling_year(a_model):
    model = a_model(retrain={"max_per_year": 2, "cooldown": timedelta(days=1)})
    used = (DAY - timedelta(days=364), DAY - timedelta(days=40))
    assert act(model, replace(READY, attempts=retrains(*used))) == (
        "nothing",
        "retrain would pay: budget of 2 attempts a year is used",
    )
    assert act(model, replace(READY, attempts=retrains(DAY - timedelta(days=365), used[1])))[0] == "retrain"
    assert act(a_model(retrain={"max_per_year": 0}), replace(READY, attempts=()))[0] == "nothing"


@pytest.mark.fault(4)
def test_a_hundred_drifted_batches_make_one_attempt_a_cooldown(a_model):
    model = a_model(retrain={"cooldown": timedelta(days=28), "max_per_year": 50})
    for champion in (1, None):
        at, attempts = replace(READY, champion=champion, attempts=()), []
        for night in range(100):
            at = replace(at, window=DAY + timedelta(days=night), attempts=retrains(*attempts))
            if act(model, at)[0] == "retrain":
                attempts.append(at.window)
        assert [(a - DAY).days for a in attempts] == [0, 28, 56, 84]


def monthly(a_model, windows, blocked=(), attempts=()):
    """Windows on which the monthly policy retrains."""
    model, made = a_model(retrain={"policy": "monthly"}), list(attempts)
    for window in windows:
        at = replace(READY, window=window, attempts=retrains(*made), blocked=window in blocked)
        if decide(model, at, {}).action == "retrain":
            made.append(window)
    return made[len(attempts) :]


def test_monthly_retrains_on_the_first_good_night_of_each_month(a_model):
    year = [date(2013, 3, 1) + timedelta(days=i) for i in range(306)]
    trained = (date(2013, 2, 28),)
    assert monthly(a_model, year, attempts=trained) == [date(2013, m, 1) for m in range(4, 13)]
    blocked = {date(2013, 5, 1), date(2013, 5, 2), date(2013, 8, 1)}
    found = monthly(a_model, year, blocked, trained)
    assert [d for d in found if d.month in (5, 8)] == [date(2013, 5, 3), date(2013, 8, 2)]
    assert len(found) == 9


def test_monthly_skips_a_month_that_is_blocked_throughout(a_model):
    year = [date(2013, 3, 1) + timedelta(days=i) for i in range(92)]
    assert monthly(a_model, year, {d for d in year if d.month == 4}, (date(2013, 2, 28),)) == [date(2013, 5, 1)]


def test_monthly_does_not_follow_a_first_model_of_the_same_month(a_model):
    december = [date(2013, 12, 2) + timedelta(days=i) for i in range(60)]
    assert monthly(a_model, december, attempts=(date(2013, 12, 1),)) == [date(2014, 1, 1)]


def test_monthly_asks_for_no_evidence(a_model):
    assert act(a_model(retrain={"policy": "monthly"}), replace(READY, attempts=()), {}) == ("retrain", "calendar")


def test_where_a_person_promotes_a_person_goes_back(a_model):
    back = {"gain": Estimate(-0.1, 0.01, 10), "roll_back": Estimate(0.2, 0.001, 10)}
    for promotion, acts in (("approve", False), ("automatic", True)):
        model = a_model(promotion=promotion)
        found = decide(model, READY, DECAYED, paying(model, **back))
        assert (found.action, found.acts) == ("roll_back", acts)


def test_what_is_held_is_told_though_it_was_not_weighed(model):
    held = replace(READY, attempts=retrains(DAY - timedelta(days=3)))
    found = decide(model, held, DECAYED)
    assert found.reason == "decay is proven, every action is held: cooldown until 2013-06-23"
    assert set(found.losing) >= {"retrain", "recalibrate", "move_threshold", "roll_back"}
