"""The evidence page and the model card, made from documents of real and of odd looks."""

import json
import re
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tidegate.gate.line import Check, Line
from tidegate.report.gatecharts import whiskers
from tidegate.report.gatepage import gate_page
from tidegate.report.gatesections import line_groups, wanted
from tidegate.report.modelcard import model_card, short_card
from tidegate.verdicts import Verdict

HERE = Path(__file__).parent
EVIL = '<img src=x onerror="owned()"><script>owned()</script>'


def load_case():
    spec = spec_from_file_location("gate_case", HERE / "gate_case.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASE = load_case()


class Page(HTMLParser):
    """Texts of cells and headings, ids, links, scripts."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.scripts, self.texts, self.tags = [], [], 0, [], []
        self._deep = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.scripts += tag == "script"
        self._deep += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._deep -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._deep and data.strip():
            self.texts.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def passed():
    return CASE.case()


@pytest.fixture(scope="module")
def failed():
    return CASE.case(worst="EV", model={"protected": ["sex"]})


def page_of(document):
    return Page(gate_page(document))


def test_the_verdict_is_said_in_plain_words(passed, failed):
    assert "Version 3 may replace the champion, once a person agrees." in page_of(passed).texts
    found = page_of(failed).texts
    assert "Version 3 is not promoted: it failed on segments and fairness." in found
    assert any("12,180 rows of 2 April – 13 May 2013" in t and "about 641 independent" in t for t in found)
    assert any(t.startswith("Segments: log loss [carrier=EV]: loss +31.0%") for t in found)
    assert "0.14 %".replace(" ", "\N{NO-BREAK SPACE}") in gate_page(passed)


def test_an_open_verdict_says_whether_there_is_another_look(passed):
    waits = {**passed, "verdict": {"outcome": "inconclusive", "reasons": ["performance: ?"]}}
    waits["checks"] = [{**c, "outcome": "inconclusive"} if c["name"] == "performance" else c for c in passed["checks"]]
    said = "Version 3 is not promoted yet: there is not enough evidence on performance."
    assert said in page_of(waits).texts
    last = "Version 3 is not promoted: after its last look there is still not enough evidence on performance."
    assert last in page_of({**waits, "look": 3}).texts
    assert "may replace" not in gate_page(waits)


def test_every_part_is_there_and_every_link_leads_somewhere(failed):
    page = page_of(failed)
    assert len(page.ids) == len(set(page.ids))
    assert {h[1:] for h in page.links if h.startswith("#")} <= set(page.ids)
    assert not [h for h in page.links if not h.startswith("#")]
    assert {f"check-{c['name']}" for c in failed["checks"]} <= set(page.ids)
    for part in ("curves", "explanations", "row-tests", "lineage", "reading"):
        assert part in page.ids
    assert page.scripts == 3
    texts = " ".join(page.texts)
    for said in ("A mitigation is offered", "it would have been 0.187 if hour had been 9 rather than 18", "f" * 64,
                 "no small change of it", "shown, never decisive", "16 digits", "Four fifths"):  # fmt: skip
        assert said in texts


def test_what_is_not_asked_is_said(passed):
    assert "Not asked: no protected groups declared" in page_of(passed).texts
    assert "A mitigation is offered" not in gate_page(passed)


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_other_kinds_have_their_curves(kind):
    page = page_of(CASE.case(kind))
    assert ("chart-deciles" in page.ids) == (kind == "regression")
    assert ("view" in page.ids) == (kind == "multiclass")


def test_the_same_document_gives_the_same_bytes(passed):
    assert gate_page(passed) == gate_page(json.loads(json.dumps(passed)))


@pytest.mark.fault(36)
def test_nothing_from_data_is_markup_or_formula(failed):
    text = json.dumps(failed)
    for name in ("JFK", "flights.model:build", "operations", "wind", "earlier"):
        text = text.replace(f'"{name}"', json.dumps(EVIL))
    evil = json.loads(text)
    evil["model"]["name"] = EVIL
    evil["checks"][0]["reasons"] = ["=cmd|' /C calc'!A0", EVIL]
    evil["checks"][1]["lines"][0] |= {"name": f"loss [{EVIL}]", "reason": "@SUM(1)", "role": EVIL}
    evil["shown"]["curves"]["classes"][0]["name"] = EVIL
    evil["shown"]["explanations"]["counterfactuals"][0]["changes"][0]["to"] = EVIL
    page = page_of(evil)
    assert page.scripts == 3
    assert "img" not in page.tags
    assert EVIL in page.texts
    assert not [t for t in page.texts if t[:1] in ("=", "@")]
    card = model_card(evil)
    assert not re.search(r"(?<!\\)<(script|img)", card)
    assert len(short_card(evil)) <= 500


def odd_documents():
    hand = [Check("performance", Verdict("inconclusive", ("no labelled row",)))]
    nothing = {"checks": hand, "verdict": Verdict("inconclusive", ("no labelled row",)), "n": 0, "n_eff": float("nan"),
               "design_effect": float("nan"), "blocks": 0, "nights": None, "error": {}, "shown": {}, "spec": {},
               "seconds": {}}  # fmt: skip
    first = {"against": None, "version": 1}
    strange = Check("smell", Verdict("pass", ()), (Line("x", "new role", "pass", float("inf"), 0.0, ""),),
                    extra={"deep": {"a": {"b": [{"c": 1.5}], "d": [1, 2]}, "e": None}, "list": [1, "two"]})  # fmt: skip
    one_class = {"rows": {"nights": 9}}
    return {"nothing": nothing, "first": first, "strange": {"checks": [strange]}, "few": one_class}


@pytest.mark.parametrize("name", odd_documents())
def test_odd_looks_have_a_page_and_a_card(name):
    document = CASE.case(**odd_documents()[name])
    page, card = page_of(document), model_card(document)
    assert "main" in page.ids
    said = " ".join(page.texts)
    assert "nan" not in said.lower().split()
    assert card.startswith("# flights, version ")
    wanted_words = {
        "nothing": "There was no labelled row to judge it against version 2, the champion on.",
        "first": "Version 1 may be the first champion",
        "strange": "New role",
        "few": "in 3 blocks of 3 nights",
    }
    assert wanted_words[name] in said


def test_one_class_only_is_told_where_curves_would_be(a_model):
    model, rows = CASE.model_of(), CASE.judged_of()
    one = rows.where(rows.label == 0)
    document = CASE.case(shown={"curves": CASE.curves(model, one)})
    assert "Not drawn (curves of True): all rows are of one class." in page_of(document).texts


def test_lines_are_drawn_against_their_limit():
    base = {"name": "loss [g=a]", "role": "segment", "outcome": "pass", "observed": 0.02, "lower": -0.01, "upper": 0.05,
            "limit": 0.1}  # fmt: skip
    worse = {**base, "name": "loss [g=b]", "outcome": "fail", "observed": 0.4, "lower": 0.2, "upper": 0.6}
    a, b = whiskers([base, worse], [wanted(base), wanted(worse)])
    assert a.limit == b.limit
    assert a.low < a.dot < a.high < a.limit < b.low < b.dot < b.high
    assert a.good == (0.0, a.limit)
    alone = {**base, "observed": None}
    assert whiskers([alone], [""]) == [None]


def test_the_worst_lines_come_first_and_many_passes_are_a_click_away():
    line = {"role": "segment", "observed": 0.0, "lower": None, "upper": None, "limit": 0.1, "n": 9, "n_eff": None,
            "power": None, "reason": "r"}  # fmt: skip
    lines = [{**line, "name": f"l{i}", "outcome": "pass"} for i in range(20)]
    lines.append({**line, "name": "bad", "outcome": "fail"})
    (group,) = line_groups(lines)
    assert group.lines[0].name == "Bad"
    assert (len(group.lines), len(group.more)) == (12, 9)


def test_the_card_has_its_parts_and_makes_nothing_up(passed, failed):
    card = model_card(failed)
    parts = re.findall(r"^## (.*)$", card, re.M)
    assert parts == [
        "Details", "Intended use", "Factors", "Metrics", "Data", "Analyses", "Fairness and ethical considerations",
        "Limits and caveats", "What it goes by", "Lineage",
    ]  # fmt: skip
    assert "- Approval: none: it did not pass the gate" in card
    assert "demographic parity" in card.lower()
    assert "needed, none recorded" in model_card(passed)
    told = model_card(passed, approval={"state": "approved", "by": "ann", "at": "2013-05-15", "reason": None})
    assert "- Approval: approved, by ann, at 2013-05-15" in told
    assert "No protected groups are declared" in model_card(passed)
    assert short_card(failed).startswith("Version 3 is not promoted")
