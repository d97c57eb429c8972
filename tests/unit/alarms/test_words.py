import math
import shlex

import pytest

from tidegate.alarms.cause import by_cause
from tidegate.alarms.severity import graded
from tidegate.alarms.words import next_command, sentence, size_of, subjects_of


def test_a_stranger_learns_what_how_much_since_when_and_why(make):
    text = sentence([make.drift(subject=s, reason="on 3 of 5 nights") for s in ("distance", "temp")], "population", 3)
    assert text == (
        "distance and 1 more drifted: KS 0.12 (0.1 to 0.15); on 3 of 5 nights, since 2013-04-29, 3 nights. "
        "Suspected cause: other cases come in than the model learned from."
    )
    assert sentence([make.harm()], "concept", 1).startswith("roc_auc got worse: roc_auc 0.12 (0.1 to 0.15), since")
    assert sentence([make.harm(worse=False)], "improvement", 1).startswith("roc_auc improved")
    assert sentence([make.drift(0, "prediction [origin=JFK]", "prediction")], "model", 1).startswith(
        "predictions moved [origin=JFK]: KS"
    )
    assert sentence([make.fault(reason="NO_DATA")], "upstream", 1).startswith("data failed its checks: NO_DATA, since")


def test_sizes_have_the_unit_of_their_statistic(make):
    assert size_of(make.drift(statistic="missing", value=0.123, low=0.1, high=0.15)) == (
        "missing share 12.3% (10.0% to 15.0%)"
    )
    assert size_of(make.drift(statistic="rows", value=12345.0, low=math.nan, high=math.nan)) == "rows 12,345"
    assert size_of(make.fault()) == ""


def test_names_from_data_cannot_steer_a_terminal_or_flood_it(make):
    odd = make.drift(subject="distance [origin=\x1b[2J\n" + "x" * 500 + "]", reason="\x07")
    text = sentence([odd], "population", 1)
    assert text.isprintable()
    assert len(text) < 300
    assert subjects_of([odd]).isprintable()
    many = [make.drift(subject=f"{i}" + "c" * 200) for i in range(9)]
    assert len(subjects_of(many)) <= 160
    assert subjects_of(many).endswith(" and 6 more")


@pytest.mark.parametrize("maker", ["drift", "harm", "fault"])
def test_every_next_command_is_one_that_exists(make, maker):
    from typer.main import get_command

    from tidegate.cli import alarms, config, inspect, oncall, quarantine, run
    from tidegate.cli.main import app

    for room in (run, inspect, quarantine, config, alarms, oncall):
        room.add_to(app)
    signal = getattr(make, maker)()
    for cause in ("upstream", "population", "concept", "model", "improvement"):
        words = shlex.split(next_command(cause, signal, "flights", "days", 7))
        assert words.pop(0) == "tidegate"
        command = get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context("x", words)


def test_causes_of_one_signal_have_words(make):
    for signal in (make.drift(), make.harm(), make.fault()):
        for cause in by_cause([graded(signal, (), ())], 9, {}):
            assert sentence([signal], cause, 1)
