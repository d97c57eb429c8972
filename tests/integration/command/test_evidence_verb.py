"""`tidegate evidence`: what the gate found on a version, read back from the registry."""

import json
from pathlib import Path

import pytest

from tidegate.adapters.registry import Registry
from tidegate.gate.evidence import evidence_digest
from tidegate.gate.line import NAMES


def test_the_newest_look_is_told_with_its_page_and_card(tidegate, diabetes):
    said = tidegate("--home", diabetes.root, "evidence", "progression")
    assert said.code == 0, said
    first, *rest = said.out.splitlines()
    assert first == "progression version 2, look 1: pass"
    for name in NAMES:
        assert any(name in line for line in rest), name
    files = {what: Path(line.removeprefix(f"{what}: ")) for line in rest for what in ("page", "model card")
             if line.startswith(f"{what}: ")}  # fmt: skip
    page = files["page"].read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "progression" in page
    assert "progression" in files["model card"].read_text()


def test_json_is_the_document_that_control_knows_the_digest_of(tidegate, diabetes):
    for version in (1, 2):
        said = tidegate("--home", diabetes.root, "evidence", "progression", "--version", version, "--json")
        assert said.code == 0, said
        document = json.loads(said.out)
        assert document["verdict"]["outcome"] == "pass"
        assert [c["name"] for c in document["checks"]] == list(NAMES)
        [look] = diabetes.record(version)["body"]["looks"]
        assert evidence_digest(document) == look["evidence"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--version", 7), "evidence of progression: expected a version that the gate looked at: 1, 2, found 7"),
        (("--look", 3), "evidence of progression version 2: expected a look from 1 to 1, found 3"),
        (("--look", 0), "evidence of progression version 2: expected a look from 1 to 1, found 0"),
    ],
)
def test_what_is_not_there_is_one_line(tidegate, diabetes, words, expected):
    for more in ((), ("--json",)):
        said = tidegate("--home", diabetes.root, "evidence", "progression", *words, *more)
        assert said.code == 2
        assert said.one_line().startswith(expected)
        assert said.out == ""


def test_a_model_without_versions_and_one_that_is_unknown_are_one_line(tidegate, wine_home):
    said = tidegate("--home", wine_home, "evidence", "cultivars")
    assert said.code == 2
    assert "expected a version that the gate looked at: none yet, found none" in said.one_line()
    said = tidegate("--home", wine_home, "evidence", "cultivar")
    assert said.code == 2
    assert "did you mean 'cultivars'" in said.one_line()


def test_evidence_that_is_gone_from_the_registry_is_one_line(tidegate, diabetes):
    file = Registry(diabetes.stores.home.state).evidence(diabetes.record(1)["body"]["run_id"], "gate_1.json")
    hidden = file.rename(file.with_suffix(".gone"))
    try:
        said = tidegate("--home", diabetes.root, "evidence", "progression", "--version", 1)
    finally:
        hidden.rename(file)
    assert said.code == 2
    assert "expected gate_1.json in the registry, found none" in said.one_line()
