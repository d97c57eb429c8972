"""The replay report's tables, chart data and page."""

import html
import json
import math
import re
from html.parser import HTMLParser

import pytest

from tidegate.report.charts import chart_data
from tidegate.report.gains import measures_of
from tidegate.report.replay import render_replay
from tidegate.report.tables import attempts_of, month_rows, outcome_of, policy_rows, window_rows

HOSTILE = [
    "<script>window.owned = 1</script>",
    "=cmd|' /C calc'!A0",
    '"><img src=x onerror="window.owned = 1">',
    "@SUM(1)",
]


class Page(HTMLParser):
    """Tags and the text of cells."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.cells, self._inside = [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th", "li", "dd"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def without_plotly(page):
    return re.sub(r"<script>/\*\*.*?</script>", "", page, flags=re.DOTALL)


def embedded(page):
    return json.loads(html.unescape(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL).group(1)))


def test_policy_table(summary):
    rows = {r.name: r for r in policy_rows(summary, measures_of(summary))}
    assert [(c.text, c.change, c.best) for c in rows["ROC AUC"].cells] == [
        ("0.706", "+0.031", False),
        ("0.711", "+0.036", True),
        ("0.675", "", False),
    ]
    assert rows["Log loss"].note == "lower is better"
    assert [c.best for c in rows["Log loss"].cells] == [False, True, False]
    assert [c.text for c in rows["Retrains started"].cells] == ["4", "10", "0"]
    assert [c.text for c in rows["Promotions"].cells] == ["3", "10", "0"]
    assert [c.text for c in rows["Alarms"].cells] == ["14", "12", "23"]


def test_means_are_the_summary_s(summary):
    for measure in measures_of(summary):
        for policy, made in summary["policies"].items():
            assert measure.mean(policy) == pytest.approx(made[measure.key], abs=1e-12)


def test_windows(summary):
    rows = window_rows(summary | {"injected": [*summary["injected"], {"window": "2013-06-01", "what": "temp × 100"}]})
    assert [(r.id, bool(r.injected), r.blocked) for r in rows] == [
        ("2013-03-08", False, True),
        ("2013-05-15", True, True),
        ("2013-06-01", True, False),
        ("2013-07-23", True, True),
        ("2013-09-10", True, True),
        ("2013-12-31", False, True),
    ]
    assert len(rows[-1].reasons) == 4


def test_attempts(summary):
    first, second, third, *_ = attempts_of(summary, "tidegate")
    assert (first.why, first.first) == ("First model", True)
    assert (second.why, [look.words for look in second.looks]) == ("More data", ["not enough evidence", "passed"])
    assert second.looks[0].reasons[0].startswith("ROC AUC: gain +0.0143 over the champion, at least −0.0031")
    assert third.result == "Not promoted: closed after 3 looks without proof"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"status": "champion", "promoted": "2013-05-02"}, ("promoted", "in service at the end")),
        ({"status": "rejected", "looks": [{"outcome": "fail"}]}, ("rejected", "failed the gate")),
        ({"status": "candidate", "looks": []}, ("waiting", "still waiting")),
        ({"status": "challenger"}, ("waiting", "approval")),
    ],
)
def test_outcomes(event, expected):
    outcome, words = outcome_of(event)
    assert outcome == expected[0]
    assert expected[1] in words


def test_undefined_is_a_dash(summary):
    summary["months"]["never"]["2013-05"]["roc_auc"] = math.nan
    summary["months"]["tidegate"]["2013-06"]["roc_auc"] = None
    del summary["months"]["monthly"]["2013-07"]
    measure = measures_of(summary)[0]
    policies = list(measure.values)
    values = {month: cells for month, _, cells in month_rows(measure, policies)}
    assert values["May 2013"][policies.index("never")] == "–"
    assert values["Jul 2013"][policies.index("monthly")] == "–"
    data = chart_data(summary, measures_of(summary))
    json.dumps(data, allow_nan=False)
    assert data["measures"]["roc_auc"]["value"][policies.index("never")][2] is None
    assert "3 of 10 months not defined" in policy_rows(summary, [measure])[0].note


def test_charts(summary):
    data = chart_data(summary, measures_of(summary))
    assert data["months"][0] == "2013-03-16"
    assert [p["id"] for p in data["policies"]] == ["tidegate", "monthly", "never"]
    # First models are not drawn: they were there before the replay.
    assert [(a["from"], a["to"], a["outcome"]) for a in data["attempts"] if a["lane"] == 0] == [
        ("2013-04-13", "2013-04-27", "promoted"),
        ("2013-06-02", "2013-06-30", "rejected"),
        ("2013-07-14", "2013-07-14", "promoted"),
        ("2013-10-09", "2013-10-09", "promoted"),
    ]
    assert [w["kind"] for w in data["windows"]] == ["blocked", "injected", "injected", "injected", "blocked"]
    gain = data["measures"]["log_loss"]["gain"][0]
    assert sum(g > 0 for g in gain) == 9
    assert data["measures"]["roc_auc"]["gain"][2] == [0.0] * 10


def test_page_stands_alone(summary):
    page = render_replay(summary)
    tags = Page(without_plotly(page)).tags
    assert not [t for t, a in tags if t in ("link", "iframe", "img") or "src" in a]
    assert all(a["href"].startswith("#") for _, a in tags if "href" in a)
    assert page.count("plotly.js v2") == 1
    [policy] = [a["content"] for _, a in tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert len(re.findall(r"'sha256-[^']{44}'", policy)) == 2
    assert embedded(page)["measures"].keys() >= {"roc_auc", "kpi"}


def test_page_is_accessible(summary):
    page = without_plotly(render_replay(summary))
    tags = Page(page).tags
    assert [t for t, _ in tags].count("h1") == 1
    assert [t for t, _ in tags].count("table") == [t for t, _ in tags].count("caption")
    assert all(a.get("aria-label") for _, a in tags if a.get("role") in ("img", "region"))
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in tags if t == "a"} <= set(ids)


def test_same_summary_same_bytes(summary):
    assert render_replay(summary) == render_replay(json.loads(json.dumps(summary)))


@pytest.mark.fault(36)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_live_cell(summary, text):
    hostile = json.loads(json.dumps(summary))
    hostile["model"] = hostile["kpi_unit"] = text
    hostile["blocked"].append({"window": text, "reasons": [text]})
    hostile["blocked"][0]["reasons"] = [text]
    hostile["injected"].append({"window": "2013-06-01", "what": text})
    hostile["events"]["tidegate"][1] |= {
        "reason": text,
        "version": text,
        "looks": [{"window": text, "outcome": text, "reasons": [text]}],
    }
    for part in ("policies", "months", "events", "alarms", "coverage"):
        hostile[part][text] = hostile[part]["never"]
    hostile["months"][text] = {**hostile["months"][text], text: {"n": 1, text: 1.0}}
    page = without_plotly(render_replay(hostile))
    found, clean = Page(page), Page(without_plotly(render_replay(summary)))
    assert [t for t, _ in found.tags if t in ("script", "img")] == [t for t, _ in clean.tags if t in ("script", "img")]
    assert not [c for c in found.cells if c.strip()[:1] in ("=", "@")]
    assert "<script>window" not in page
    assert any(text in c for c in found.cells)
    drawn = [t for a in embedded(page)["attempts"] + embedded(page)["windows"] for t in [a["text"]]]
    assert not [t for t in drawn if "<script" in t or "<img" in t]


@pytest.mark.parametrize(
    "summary_of",
    [
        lambda s: {},
        lambda s: s | {"months": {}, "events": {}, "blocked": [], "injected": [], "coverage": {}, "alarms": {}},
        lambda s: s | {"policies": {"never": s["policies"]["never"]}, "months": {"never": s["months"]["never"]}},
        lambda s: s | {"months": {p: {"2013-03": m["2013-03"]} for p, m in s["months"].items()}, "to": "2013-03-31"},
        lambda s: (
            s
            | {
                "months": {
                    p: {m: {"n": 9, "r2": 0.5, "mae": 3.0, "kpi": 0.0} for m in v} for p, v in s["months"].items()
                }
            }
        ),
        lambda s: (
            s
            | {"months": {p: {m: {"n": 9, "f1": 0.5, "accuracy": math.nan} for m in v} for p, v in s["months"].items()}}
        ),
    ],
    ids=["nothing", "no months", "one policy", "one month", "regression", "multiclass"],
)
def test_every_shape_renders(summary, summary_of):
    page = without_plotly(render_replay(summary_of(summary)))
    text = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|NaN|None|inf)\b", re.sub(r"<[^>]*>", " ", text).replace("None retrain", ""))
    embedded(page)


def test_five_policies_have_five_styles_and_their_money(summary):
    five = json.loads(json.dumps(summary))
    for policy, base in (("drift", "monthly"), ("performance", "tidegate")):
        for part in ("policies", "months", "events", "coverage"):
            five[part][policy] = json.loads(json.dumps(five[part][base]))
    for i, p in enumerate(five["policies"]):
        five["policies"][p] |= {"cost": 1000.0 + i, "gain": 10.0 * i, "low": -5.0, "high": 25.0}
    five["policies"]["drift"] |= {"low": None, "high": None}
    five["segments"] = [{"policies": {p: {"rank": 1 + i % 5} for i, p in enumerate(five["policies"])}}] * 2
    page = render_replay(five)
    data = embedded(page)
    assert [p["id"] for p in data["policies"]] == ["tidegate", "monthly", "drift", "performance", "never"]
    assert len({p["style"] for p in data["policies"]}) == 5
    assert "On drift" in page
    rows = {r.name: r for r in policy_rows(five, measures_of(five))}
    assert [c.change for c in rows["Gain in total cost"].cells] == ["−5 to 25", "−5 to 25", "", "−5 to 25", ""]
    assert len(rows["Rank by cost"].cells) == 5
    # A summary of before there were costs has no such rows.
    assert "Total cost" not in {r.name for r in policy_rows(summary, measures_of(summary))}
