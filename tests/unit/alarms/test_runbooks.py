"""The runbooks say what they must, and every command in README and docs exists."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from tidegate.cli.main import furnish
from tidegate.verdicts import Cause

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "runbooks"
STANDS_FOR = {"MODEL": "flights", "DATASET": "flights", "DATE": "2013-06-14", "N": "3", "VERSION": "7"}
COMMANDS = [
    (page.relative_to(ROOT).as_posix(), line, quoted == "`")
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
    for quoted, line in re.findall(r"(^|`) *(tidegate [a-z][^`\n#|]*)", page.read_text(encoding="utf-8"), re.M)
]


@pytest.fixture(scope="module")
def command():
    return get_command(furnish())


@pytest.mark.parametrize("cause", get_args(Cause))
def test_every_cause_has_a_runbook_with_all_its_parts(cause):
    text = (PAGES / f"{cause}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.M) == [
        "How it was found", "Triage", "Fix", "Retrain?", "Mute?", "Afterwards",
    ]  # fmt: skip
    assert len(text.splitlines()) <= 80


@pytest.mark.parametrize(("page", "line", "in_prose"), COMMANDS)
def test_every_command_exists(command, page, line, in_prose):
    words = [STANDS_FOR.get(w, w) for w in shlex.split(line)[1:]]
    at = command
    while hasattr(at, "commands") and words:
        assert words[0] in at.commands, f"{page}: {line}"
        at = at.commands[words.pop(0)]
    if in_prose:
        # A sentence may name a verb without what it needs.
        known = {o for p in getattr(at, "params", ()) for o in (*p.opts, *p.secondary_opts)}
        assert {w for w in words if w.startswith("--")} <= known, f"{page}: {line}"
    else:
        at.make_context(page, words)


def test_there_are_commands():
    assert len(COMMANDS) > 70
    assert {"README.md", "docs/profiles.md", "docs/alarms.md", "docs/runbooks/concept.md"} <= {c[0] for c in COMMANDS}
