import json
import math

import numpy as np
import pytest

from tidegate.gate.evidence import FORMAT, document, evidence_digest, metrics, tags
from tidegate.gate.line import Check, Line, not_asked, overall

GAIN = Line("roc_auc", "better", "pass", 0.02, 0.0, "roc_auc: better", lower=0.01, upper=math.inf, n=900, n_eff=40.0)
SEGMENT = Line("log_loss [g=a]", "segment", "inconclusive", 0.01, 0.1, "few rows", more_nights=12.0)
WAITS = Line("log_loss [g=b]", "segment", "inconclusive", 0.01, 0.1, "few rows", more_nights=40.0)


def made(a_model, **changes):
    checks = [
        not_asked("fairness", "no protected groups declared"),
        Check("segments", overall([]), (SEGMENT, WAITS)),
        Check("performance", overall([Check("x", not_asked("x", "y").verdict)]), (GAIN,), 900, 40.0),
    ]
    keys = {
        "model": a_model(), "version": 3, "against": 2, "window": "2024-03-01", "at": "2024-03-02T06:00:00+00:00",
        "look": 1, "checks": checks, "verdict": overall(checks), "n": 900, "n_eff": np.float64(40.0),
        "design_effect": math.nan, "blocks": np.int64(9), "nights": ("2024-01-01", "2024-02-01"),
        "error": {"year": 0.05, "spent": 0.0, "this_look": 0.001, "left": math.inf},
        "shown": {"row_tests": (GAIN,), "curves": {"levels": {"roc_auc": {"ours": {"value": 0.7},
                  "theirs": {"value": math.nan}}}}},
        "spec": {"trained": ["2024-01-01"], "batches": {"2024-01-01": "d"}}, "digest": "f" * 64,
        "seconds": {"score": 1.0},
    }  # fmt: skip
    return document(**{**keys, **changes})


def test_it_is_plain_json_with_keys_in_one_order(a_model):
    found = made(a_model)
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert found["format"] == FORMAT
    assert [c["name"] for c in found["checks"]] == ["performance", "segments", "fairness"]
    assert text == json.dumps(made(a_model), allow_nan=False)
    assert found["rows"]["design_effect"] is None
    assert found["checks"][0]["lines"][0]["upper"] is None
    assert found["shown"]["row_tests"][0]["name"] == "roc_auc"


def test_a_check_waits_for_the_slowest_of_its_lines(a_model):
    assert [c["more_nights"] for c in made(a_model)["checks"]] == [None, 40.0, None]


def test_the_digest_is_of_the_evidence_and_not_of_the_time_it_took(a_model):
    first = evidence_digest(made(a_model))
    assert evidence_digest(made(a_model, seconds={"score": 9.0})) == first
    assert evidence_digest(made(a_model, n=901)) != first


def test_tags_and_metrics(a_model):
    found = made(a_model)
    labels = tags(found)
    assert labels["tidegate.gate"] == "inconclusive"
    assert labels["tidegate.gate.fairness"] == "not asked"
    assert labels["tidegate.gate.segments"] == "inconclusive"
    assert labels["tidegate.gate.evidence"] == evidence_digest(found)
    assert all(isinstance(v, str) for v in labels.values())
    numbers = metrics(found)
    assert numbers["gate_roc_auc_gain"] == 0.02
    assert numbers["gate_roc_auc_gain_lower"] == 0.01
    assert numbers["gate_roc_auc"] == 0.7
    assert "gate_roc_auc_gain_upper" not in numbers
    assert "gate_champion_roc_auc" not in numbers
    assert all(math.isfinite(v) for v in numbers.values())
    assert not any("log_loss" in k for k in numbers)


@pytest.mark.parametrize("changes", [{"checks": []}, {"spec": {}}, {"shown": {}}, {"nights": None}, {"error": {}}])
def test_what_is_missing_is_null(a_model, changes):
    found = made(a_model, **changes)
    json.dumps(found, allow_nan=False)
    assert tags(found)["tidegate.gate.against"] == "2"
    assert metrics(found)["gate_n"] == 900
