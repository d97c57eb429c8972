"""A frozen model does nothing by itself, and says what it would have done."""

from dataclasses import replace
from datetime import date

import pytest

from tidegate.decision.decide import Standing, decide
from tidegate.decision.options import weigh
from tidegate.performance.blocks import Estimate
from tidegate.verdicts import Verdict

SAID = "frozen by ann until 2024-06-01: a sale"
AT = Standing(date(2024, 5, 1), 3, 400, 200, frozen=SAID)
DECAY = {"decay": Verdict("fail", ("worse",)), "more_data": Verdict("inconclusive", ("?",))}


@pytest.fixture
def model(a_model):
    return a_model()


def test_it_would_have_retrained(model):
    pays = [weigh(model, "retrain", Estimate(0.05, 0.01, 10), 20000, "measured")]
    assert decide(model, replace(AT, frozen=""), DECAY, pays).action == "retrain"
    found = decide(model, AT, DECAY, pays)
    assert (found.action, found.reason, found.losing["retrain"]) == ("nothing", SAID, "decay")


def test_it_would_have_looked_again(model):
    waiting = replace(AT, candidate=4)
    assert decide(model, replace(waiting, frozen=""), {}).action == "regate"
    found = decide(model, waiting, {})
    assert (found.action, found.reason) == ("nothing", SAID)
    assert "has not been looked at" in found.losing["regate"]


def test_data_comes_first_and_what_stops_it_anyway_is_told(model):
    assert decide(model, replace(AT, blocked=True), {}).action == "fix_data"
    never = model.model_copy(update={"retrain": model.retrain.model_copy(update={"policy": "never"})})
    found = decide(never, AT, {})
    assert (found.reason, found.losing["retrain"]) == (SAID, "policy: never")
