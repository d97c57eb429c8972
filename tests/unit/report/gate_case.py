"""A look at a candidate as a gate would have it: judged rows with day shocks, and what each check says of them.

Performance and its row tests are made by the gate's own functions; of the checks that need a model in a process of
its own, the lines are written by hand as those checks write them.
"""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np

from tidegate.config.model import Model
from tidegate.gate.curves import curves
from tidegate.gate.evidence import document
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check, Line, not_asked, overall, verdict_of
from tidegate.performance.blocks import paired_difference
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS

FIRST = date(2013, 4, 2)
LABELS = {
    "binary": {"classes": [False, True], "positive": True},
    "multiclass": {"classes": ["early", "on time", "late"]},
    "regression": {},
}


def model_of(kind="binary", **keys):
    label = {"column": "late", "source": {"files": "{date}.csv"}, "delay": "2d", **LABELS[kind]}
    primary = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "mae"}[kind]
    body = {
        "name": "flights", "dataset": "departures", "owner": "operations", "kind": kind, "label": label,
        "estimator": {"build": "flights.model:build"}, "features": ["hour", "origin", "carrier", "wind"],
        "segments": ["origin", "carrier"], "metric": {"primary": primary, "useful_gain": 0.02},
    }  # fmt: skip
    kpi = {"kpi": {"false_negative": -20, "false_positive": -5}} if kind == "binary" else {}
    return Model.model_validate({**body, **kpi, **keys})


def judged_of(kind="binary", nights=42, rows=290, gain=0.4, seed=5):
    """Rows of nights that share a shock; the candidate sees more of the truth than the champion."""
    rng = np.random.default_rng(seed)
    n = nights * rows
    night = np.repeat([(FIRST + timedelta(days=d)).isoformat() for d in range(nights)], rows)
    shock = np.repeat(rng.normal(0, 0.55, nights), rows)
    truth = rng.normal(-1.3, 1.1, n) + shock
    seen = [truth - 0.6 * shock + rng.normal(0, noise, n) for noise in (1.2 - gain, 1.2)]
    cut, groups = np.full(n, 0.3), {
        "origin": rng.choice(["EWR", "JFK", "LGA"], n, p=[0.36, 0.33, 0.31]),
        "carrier": rng.choice(["UA", "B6", "EV", "DL", "AA", "HA"], n, p=[0.3, 0.25, 0.2, 0.15, 0.095, 0.005]),
        "sex": rng.choice(["f", "m", "missing"], n, p=[0.48, 0.5, 0.02]),
    }  # fmt: skip
    if kind == "regression":
        return Judged(night, 10 * truth + rng.normal(0, 6, n), 9 * seen[0], 9 * seen[1], cut, cut, groups)
    if kind == "multiclass":
        label = np.digitize(truth + rng.normal(0, 0.6, n), [-2, 0])
        scores = []
        for x in seen:
            raw = np.exp(-((x[:, None] - np.array([-2.8, -1.0, 0.8])) ** 2) / 1.5)
            scores.append(raw / raw.sum(axis=1, keepdims=True))
        return Judged(night, label, *scores, cut, cut, groups)
    label = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(int)
    return Judged(night, label, *(1 / (1 + np.exp(-0.8 * x + 0.25)) for x in seen), cut, cut, groups)


def gains(model, judged, alpha=0.0028):
    """Lines of the performance check."""
    ours, theirs = judged.blocks(model, "ours"), judged.blocks(model, "theirs")
    out = []
    for name, metric in METRICS[model.kind].items():
        gain, sign = paired_difference(metric, ours, theirs), 1 if HIGHER_IS_BETTER[name] else -1
        if math.isnan(gain.value):
            continue
        value, reach = sign * gain.value, gain.upper(alpha) - gain.value
        role = "better" if name in (model.metric.primary, "kpi") else "guardrail" if name == "brier" else "other"
        role = "priced" if name in ("accuracy", "precision", "recall") else role
        limit = {"guardrail": -model.gate.brier_margin}.get(role, 0.0)
        ok = value + reach >= 0 if role in ("other", "priced") else value - reach > limit
        said = f"{name}: gain {value:+.4f} over the champion, at least {value - reach:+.4f}"
        out.append(
            Line(name, role, "pass" if ok else "inconclusive", value, limit, said, gain.se, value - reach,
                 value + reach, len(judged), len(judged) / 19.0, 0.87 if role in ("better", "guardrail") else math.nan,
                 0.0 if ok else 31.0)
        )  # fmt: skip
    return tuple(out)


def segment_lines(judged, worst=None):
    """A line a segment; `worst` is proven worse."""
    out, rng = [], np.random.default_rng(2)
    for column in ("origin", "carrier"):
        for value, rows in zip(*np.unique(judged.groups[column], return_counts=True), strict=True):
            rise, se = rng.normal(-0.03, 0.01), 0.9 / math.sqrt(rows)
            if value == worst:
                rise = 0.31
            outcome = "fail" if rise - 2 * se > 0.1 else "inconclusive" if rise + 2 * se > 0.1 else "pass"
            words = {"fail": "proven above 10 %", "pass": "not above 10 %"}.get(outcome, "too few rows: unknown")
            name = f"log_loss [{column}={value}]"
            out.append(Line(name, "segment", outcome, rise, 0.1, f"{name}: loss {rise:+.1%}, {words}", se,
                            rise - 2 * se, rise + 2 * se, int(rows), rows / 9, math.nan, math.nan))  # fmt: skip
    return tuple(out)


def explanations():
    permuted = [("wind", 0.041, 1.0), ("hour", 0.032, 0.9), ("carrier", 0.009, 0.7), ("origin", 0.001, None)]
    change = {"column": "hour", "from": 18, "to": 9}
    return {
        "permutation": [
            {"name": n, "mean": m, "sd": m / 8, "low": m * 0.7, "high": m * 1.3, "stable": s} for n, m, s in permuted
        ],
        "shap": [{"name": n, "mean_abs": 1.8 * m, "stable": s} for n, m, s in permuted],
        "additivity": 3.1e-16,
        "counterfactuals": [
            {"row_id": "9f2c11aa0b77", "score": 0.412, "after": 0.187, "flipped": True, "changes": [change]},
            {"row_id": "03bb7e", "score": 0.911, "after": 0.911, "flipped": False, "changes": []},
        ],
        "rows": 2000,
    }


SPEC = {
    "trained": [(date(2013, 1, 1) + timedelta(days=d)).isoformat() for d in range(120)], "as_of": "2013-05-02",
    "trained_at": "2013-05-03T06:00:00+00:00", "rows": 98412, "threshold": 0.2871, "params": {"max_iter": 120},
    "seed": 7, "features": {"hour": "integer", "origin": "category", "carrier": "category", "wind": "number"},
    "batches": {(date(2013, 1, 1) + timedelta(days=d)).isoformat(): f"{d:064x}" for d in range(120)},
    "labels": {(date(2013, 1, 1) + timedelta(days=d)).isoformat(): f"{d + 500:064x}" for d in range(119)},
    "config": {"model": "a" * 64, "dataset": "b" * 64},
    "user": {"build": "flights.model:build", "features": "flights.model:features", "digest": "c" * 64},
    "code": {"tidegate": "0.4.0", "revision": "d" * 40}, "libraries": ["scikit-learn==1.9.0", "numpy==2.4.0"],
    "lock": "e" * 64,
}  # fmt: skip


def case(kind="binary", worst=None, **changes):
    """The document of a look; `worst` names a segment that is proven worse."""
    model = model_of(kind, **changes.pop("model", {}))
    judged = judged_of(kind, **changes.pop("rows", {}))
    n, n_eff = len(judged), len(judged) / 19.0
    performance = gains(model, judged)
    segments = segment_lines(judged, worst)
    brier = Line("brier", "calibration", "pass", 0.0031, -0.005, "brier: change +0.0031 (-0.005 allowed), at worst "
                 "+0.0012", 0.0009, 0.0012, 0.005, n, n_eff, 0.99, 0.0)  # fmt: skip
    ece = Line("ece above its null", "calibration", "pass", 0.0042, 0.02, "ECE 0.0223, a perfect model would show "
               "0.0181", 0.003, -0.002, 0.010, n, n_eff)  # fmt: skip
    robust = (
        Line("noise", "robustness", "pass", 0.021, 0.1, "noise of 0.1 sd: loss +2.1 %", 0.004, 0.014, 0.028, 2000),
        Line("missing cells", "robustness", "pass", 0.044, 0.1, "10 % of the cells emptied: loss +4.4 %", 0.01, 0.028,
             0.061, 2000),
        Line("replay", "robustness", "pass", 0.0, 1e-9, "one by one and shuffled: the same scores", n=2000),
        Line("roc_auc alone [hour]", "leakage", "pass", 0.63, 0.95, "hour alone ranks the label with 0.63", n=8000),
        Line("anchor [carrier=EV]", "poisoning", "pass", -0.01, 0.1, "no rise on labels kept from before", 0.02, -0.05,
             0.03, 3100, 210.0),
    )  # fmt: skip
    serve = (
        Line("probe", "servability", "pass", 2e-16, 1e-9, "64 rows score as in training", n=64),
        Line("latency p95 [ms]", "servability", "pass", 14.2, 200.0, "one row in 14.2 ms, 95 of 100 times", n=100),
        Line("training windows", "digests", "pass", math.nan, math.nan, "120 recorded digests are known to control"),
    )
    shown_lines = (
        Line(
            "roc_auc: DeLong", "shown", "pass", 0.0213, 0.0, "p = 1e-9 if rows were independent", 0.003, 0.015, 0.027, n
        ),
    )
    checks = [
        Check("performance", verdict_of([x for x in performance if x.name != "kpi"]), performance, n, n_eff),
        Check("segments", verdict_of([x for x in segments if x.outcome != "inconclusive"]), segments, n, n_eff),
        Check("calibration", verdict_of([brier, ece]), (brier, ece), n, n_eff),
        not_asked("fairness", "no protected groups declared"),
        Check("robustness", verdict_of(robust), robust, 2000),
        Check("servability", verdict_of(serve), serve, extra={"latency": {"p50": 9.8, "p95": 14.2, "p99": 22.0}}),
    ]
    if model.protected:
        gap = Line("demographic_parity [sex]", "fairness", "fail", 0.16, 0.1, "demographic parity [sex]: gap 0.16, at "
                   "least 0.12", 0.02, 0.12, 0.2, n, n_eff)  # fmt: skip
        ratio = Line("four_fifths [sex]", "fairness", "inconclusive", 0.79, 0.8, "four fifths [sex]: ratio 0.79", 0.03,
                     0.74, 0.85, n, n_eff, more_nights=44.0)  # fmt: skip
        offer = {
            "offered": True, "column": "sex", "overall": 0.3, "by": {"f": 0.27, "m": 0.33}, "verdict": "pass",
            "gaps": [{"name": "demographic_parity [sex]", "limit": 0.1, "before": 0.16, "after": 0.02}],
            "price": {"unit": "USD a row", "a_row": 0.11, "lower": 0.04, "upper": 0.18, "changed": 0.06},
            "groups": [{"group": "f", "n": 5772, "changed": 0.07}, {"group": "m", "n": 6167, "changed": 0.05}],
            "caution": "To decide by a protected column may itself be unlawful.",
        }  # fmt: skip
        checks[3] = Check("fairness", verdict_of([gap, ratio]), (gap, ratio), n, n_eff, extra={"offer": offer})
    first, last = judged.nights()[0], judged.nights()[-1]
    keys = {
        "version": 3, "against": 2, "window": "2013-05-14", "at": "2013-05-15T06:04:11+00:00", "look": 1,
        "checks": checks, "verdict": overall(checks), "n": n, "n_eff": n_eff, "design_effect": 19.0,
        "blocks": len(judged.nights()) // 3, "nights": (first, last),
        "error": {"year": 0.05, "spent": 0.0083, "this_look": 0.0014, "left": 0.0403},
        "shown": {"curves": curves(model, judged), "row_tests": shown_lines, "explanations": explanations()},
        "spec": SPEC, "digest": "f" * 64, "seconds": {"score": 2.1, "robustness": 6.4, "servability": 9.0},
    }  # fmt: skip
    return document(model=model, **{**keys, **changes})
