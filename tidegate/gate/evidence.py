"""The evidence of one look at a candidate: `gate.json`, and what of it the registry shows.

The document is versioned, holds plain JSON only (what is not a number is null), and has its keys in a fixed order,
so that the same look gives the same bytes and one digest. The page and the model card are made from it alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from tidegate.config.model import Model
from tidegate.gate.line import NAMES, Check, Line
from tidegate.lineage.digest import json_digest, plain
from tidegate.verdicts import Verdict

FORMAT: Final = "tidegate-gate/1"
YEARS: Final = 3650.0
"""Nights that stand for "not in ten years": infinity has no place in JSON."""
GAINS: Final = ("better", "guardrail", "other", "priced")
"""Roles of lines whose observed value is a gain over the other side."""


def document(
    *,
    model: Model,
    version: int,
    against: int | None,
    window: str,
    at: str,
    look: int,
    checks: Sequence[Check],
    verdict: Verdict,
    n: int,
    n_eff: float,
    design_effect: float,
    blocks: int,
    nights: tuple[str, str] | None,
    error: Mapping[str, float],
    shown: Mapping[str, Any],
    spec: Mapping[str, Any],
    digest: str,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that a look found, as plain JSON.

    Parameters
    ----------
    against : int or None
        The champion's version; None for a first model.
    at : str
        When it was made, ISO 8601.
    n, n_eff, design_effect, blocks
        Rows judged, what they count for as independent ones, the ratio of the two, blocks of nights.
    nights : (str, str) or None
        First and last night judged on.
    error : mapping
        ``year`` (declared), ``spent`` before this look, ``this_look``, ``left`` after it: chances in [0, 1].
    shown : mapping
        What does not decide: ``curves`` (`tidegate.gate.curves.curves`), ``row_tests`` (lines), ``explanations``,
        ``offer``. Lines may be `Line`s or mappings.
    spec : mapping
        The package's ``spec.json``; `digest` is the package's.
    seconds : mapping
        Seconds that each part took. They are not part of the evidence's digest.

    Returns
    -------
    dict
        ``json.dumps(document, allow_nan=False)`` holds; NaN and infinities became None.

    Raises
    ------
    UsageError
        If a value's text would be its address in memory.
    """
    known = {c.name: c for c in checks}
    names = [*(n for n in NAMES if n in known), *(n for n in known if n not in NAMES)]
    out = {
        "format": FORMAT,
        "model": _model(model),
        "version": version,
        "against": against,
        "window": window,
        "at": at,
        "look": look,
        "looks": model.gate.looks,
        "verdict": verdict.as_dict(),
        "rows": {
            "n": n,
            "n_eff": n_eff,
            "design_effect": design_effect,
            "blocks": blocks,
            "block_nights": model.gate.block_nights,
            "first": nights[0] if nights else None,
            "last": nights[1] if nights else None,
        },
        "error": {k: error.get(k) for k in ("year", "spent", "this_look", "left")},
        "checks": [_check(known[name]) for name in names],
        "shown": {k: _lines(v) if k == "row_tests" else v for k, v in shown.items()},
        "lineage": _lineage(spec, digest),
        "seconds": dict(seconds),
    }
    return dict(finite(plain(out)))


def finite(value: Any) -> Any:
    """A JSON value with None in the place of NaN and infinities.

    Examples
    --------
    >>> finite({"a": [1.0, math.nan, -math.inf], "b": "nan"})
    {'a': [1.0, None, None], 'b': 'nan'}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list) else value


def evidence_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of the evidence; how long it took to make is no part of it.

    Examples
    --------
    >>> evidence_digest({"n": 1, "seconds": {"fit": 2.0}}) == evidence_digest({"n": 1, "seconds": {}})
    True
    """
    return json_digest({k: v for k, v in document.items() if k != "seconds"})


def tags(document: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a version: the verdict, each check's, what it was judged against, and the evidence's digest.

    A check that was not asked for is ``not asked``.

    Examples
    --------
    >>> found = tags({"verdict": {"outcome": "pass"}, "look": 1, "against": None, "checks": []})
    >>> found["tidegate.gate"], found["tidegate.gate.against"]
    ('pass', 'none')
    """
    out = {
        "tidegate.gate": document["verdict"]["outcome"],
        "tidegate.gate.look": str(document["look"]),
        "tidegate.gate.against": "none" if document["against"] is None else str(document["against"]),
    }
    for check in document["checks"]:
        out[f"tidegate.gate.{check['name']}"] = check["outcome"] if check["asked"] else "not asked"
    return out | {"tidegate.gate.evidence": evidence_digest(document)}


def metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of the logged model: gains with their bounds, levels of both sides, and how much evidence there was.

    Names are as ``gate_roc_auc_gain``, ``gate_roc_auc_gain_lower``, ``gate_roc_auc``, ``gate_champion_roc_auc``
    (``gate_baseline_…`` for a first model). What is not finite is left out.

    Examples
    --------
    >>> line = {"name": "roc_auc", "role": "better", "observed": 0.02, "lower": 0.01, "upper": None}
    >>> checks = [{"name": "performance", "lines": [line]}]
    >>> metrics({"checks": checks, "rows": {"n": 9, "n_eff": None}, "error": {}, "shown": {}, "against": 1})
    {'gate_roc_auc_gain': 0.02, 'gate_roc_auc_gain_lower': 0.01, 'gate_n': 9.0}
    """
    found: dict[str, Any] = {}
    for check in document["checks"]:
        for line in check["lines"]:
            if check["name"] == "performance" and line["role"] in GAINS:
                name = f"gate_{line['name']}_gain"
                found |= {name: line["observed"], f"{name}_lower": line["lower"], f"{name}_upper": line["upper"]}
    curves = document["shown"].get("curves") or {}
    theirs = "baseline" if document["against"] is None else "champion"
    for name, sides in (curves.get("levels") or {}).items():
        found |= {f"gate_{name}": sides["ours"]["value"], f"gate_{theirs}_{name}": sides["theirs"]["value"]}
    found |= {f"gate_{k}": document["rows"].get(k) for k in ("n", "n_eff", "design_effect", "blocks")}
    found |= {f"gate_error_{k}": document["error"].get(k) for k in ("this_look", "left")}
    allowed = {"".join(c if c.isalnum() or c in "_-./ " else "_" for c in k): v for k, v in found.items()}
    return {k: float(v) for k, v in allowed.items() if isinstance(v, int | float) and math.isfinite(v)}


def _model(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "owner": model.owner,
        "namespace": model.namespace,
        "dataset": model.dataset,
        "kind": model.kind,
        "label": {
            "column": model.label.column,
            "positive": model.label.positive,
            "classes": model.label.classes,
            "delay": model.label.delay.total_seconds(),
        },
        "features": model.features,
        "segments": model.segments,
        "protected": model.protected,
        "metric": model.metric.model_dump(mode="json"),
        "kpi": model.kpi.model_dump(mode="json"),
        "gate": model.gate.model_dump(mode="json"),
        "promotion": model.promotion,
    }


def _check(check: Check) -> dict[str, Any]:
    waits = [min(x.more_nights, YEARS) for x in check.lines if x.outcome == "inconclusive" and x.more_nights > 0]
    return {
        "name": check.name,
        "outcome": check.verdict.outcome,
        "asked": check.asked,
        "reasons": check.verdict.reasons,
        "n": check.n,
        "n_eff": check.n_eff,
        "more_nights": max(waits, default=None),
        "lines": _lines(check.lines),
        "extra": dict(check.extra),
    }


def _lines(lines: Sequence[Line | Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [asdict(line) if isinstance(line, Line) else dict(line) for line in lines]


def _lineage(spec: Mapping[str, Any], digest: str) -> dict[str, Any]:
    trained = list(spec.get("trained") or ())
    return {
        "package": digest,
        "trained": {"first": trained[0], "last": trained[-1], "nights": len(trained)} if trained else None,
        "as_of": spec.get("as_of"),
        "trained_at": spec.get("trained_at"),
        "rows": spec.get("rows"),
        "threshold": spec.get("threshold"),
        "group_thresholds": spec.get("group_thresholds"),
        **{k: spec[k] for k in ("calibration", "adjusts") if k in spec},
        "params": spec.get("params"),
        "seed": spec.get("seed"),
        "features": spec.get("features"),
        "batches": spec.get("batches") or {},
        "labels": spec.get("labels") or {},
        "config": spec.get("config") or {},
        "user": spec.get("user") or {},
        "code": spec.get("code") or {},
        "libraries": spec.get("libraries") or [],
        "lock": spec.get("lock"),
    }
