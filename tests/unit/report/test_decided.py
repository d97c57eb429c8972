"""The decisions of a replay on its page."""

from tidegate.report.decided import decision_rows
from tidegate.report.replay import render_replay

WORTH = {"gain": 0.05, "se": 0.01, "rows": 26000.0, "chance": 0.8, "cost": 245.0, "net": 795.0, "low": 400.0,
         "high": 1190.0, "unit": "USD", "why": "a probe on 56 nights"}  # fmt: skip
UNKNOWN = dict.fromkeys(WORTH) | {"rows": 26000.0, "cost": 120.0, "unit": "USD", "why": "<b>no</b> former champion"}
NIGHT = {
    "window": "2013-06-06", "action": "retrain", "reason": "decay", "acts": True, "losing": {},
    "options": [{"action": "nothing", **WORTH}, {"action": "retrain", **WORTH}, {"action": "roll_back", **UNKNOWN}],
}  # fmt: skip


def test_a_night_has_its_choice_and_its_losers():
    [row] = decision_rows([NIGHT])
    assert (row.action, row.reason, row.acted) == ("Retrain", "decay", True)
    best, unknown = row.options
    assert (best.name, best.net, best.chosen) == ("Retrain", "net +795 USD (surely +400)", True)
    assert best.how.startswith("gains +0.050 ± 0.010 a row × 80% chance × 26,000 rows − 245; a probe")
    assert (unknown.name, unknown.net, unknown.chosen) == ("Roll back", "not estimable", False)


def test_looks_and_nights_without_weighing_are_left_out():
    assert decision_rows([{**NIGHT, "action": "regate"}, {**NIGHT, "options": []}]) == ()


def test_the_page_tells_them_and_escapes_what_they_say():
    summary = {
        "model": "m",
        "policies": {"tidegate": {"retrains": 1}},
        "months": {},
        "decisions": {"tidegate": [NIGHT]},
    }
    page = render_replay(summary)
    assert "What Tidegate decided, and why" in page
    assert "+795 USD (surely +400)" in page
    assert "<b>no</b>" not in page
    assert "and why</h2>" not in render_replay({**summary, "decisions": {}})
