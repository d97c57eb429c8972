"""The runbooks say what they must, and every command in them exists."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from tidegate.cli import alarms, config, inspect, oncall, quarantine, run
from tidegate.cli.main import app
from tidegate.verdicts import Cause

PAGES = Path(__file__).parents[3] / "docs" / "runbooks"
COMMANDS = [
    (page.name, line)
    for page in sorted(PAGES.glob("*.md"))
    for line in re.findall(r"(?:^|`)\s*(tidegate [^`\n#]*)", page.read_text(encoding="utf-8"), re.M)
]


@pytest.fixture(scope="module")
def command():
    for room in (run, inspect, quarantine, config, alarms, oncall):
        room.add_to(app)
    return get_command(app)


@pytest.mark.parametrize("cause", get_args(Cause))
def test_every_cause_has_a_runbook_with_all_its_parts(cause):
    text = (PAGES / f"{cause}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.M) == [
        "How it was found", "Triage", "Fix", "Retrain?", "Mute?", "Afterwards",
    ]  # fmt: skip
    assert len(text.splitlines()) <= 80


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_exists(command, page, line):
    words = shlex.split(line)[1:]
    at = command
    while hasattr(at, "commands"):
        assert words[0] in at.commands, f"{page}: {line}"
        at = at.commands[words.pop(0)]
    at.make_context(page, words)


def test_there_are_commands():
    assert len(COMMANDS) > 30
