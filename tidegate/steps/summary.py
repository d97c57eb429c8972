"""What a replay came to: its policies compared on the rows that all of them scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.performance.metrics import METRICS, metrics
from tidegate.performance.tally import tally_of
from tidegate.steps.decisions import decisions
from tidegate.steps.policies import common_rows, in_money, nights_of, scored_outcomes
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores, open_stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Alarm
from tidegate.windows import Window


def summarise(
    homes: dict[str, Home],
    model_name: str,
    start: Window,
    end: Window,
    *,
    wall_s: float,
    injected: Sequence[dict[str, str]],
) -> dict[str, Any]:
    """The comparison as `summary.json` holds it.

    Months count alike in the means. Areas under curves are exact here, from rows.
    """
    stores = {policy: open_stores(home) for policy, home in homes.items()}
    first = next(iter(stores.values()))
    model = first.project.model(model_name)
    calendar = first.project.calendar(first.project.dataset(model.dataset))
    nights = [w.id for w in calendar.range(start.date, end.date)]
    outcomes = {policy: scored_outcomes(s, model, nights, end) for policy, s in stores.items()}
    common = common_rows(list(outcomes.values()))
    shared = {policy: table.filter(pc.is_in(table["row_id"], common)) for policy, table in outcomes.items()}
    by_month = {policy: _months(stores[policy], model, table) for policy, table in shared.items()}
    money = in_money(stores, model, nights_of(stores, model, nights, shared))
    verdicts = first.data_records.verdicts(model.dataset, "quality", nights)
    quarantined = first.data.read("quarantine", model.dataset, nights)
    told = {
        policy: [a for a in s.records.alarms(model_name) if start.id <= a.window <= end.id]
        for policy, s in stores.items()
    }
    out: dict[str, Any] = {
        "model": model_name,
        "kind": model.kind,
        "primary": model.metric.primary,
        "kpi_unit": model.kpi.unit,
        "from": start.id,
        "to": end.id,
        "windows": len(nights),
        "rows": len(common),
        "wall_s": round(wall_s, 1),
        "policies": {policy: _policy(model, months) | money["policies"][policy] for policy, months in by_month.items()},
        "cost_unit": money["unit"],
        "segments": money["segments"],
        "blocked": [{"window": w, "reasons": list(v.reasons)} for w, v in verdicts.items() if v.outcome == "fail"],
        "quarantined_rows": quarantined.num_rows,
        "alarms": {policy: len(found) for policy, found in told.items()},
        "pages": {policy: sum(a.severity == "page" for a in found) for policy, found in told.items()},
        "tickets": {policy: sum(a.severity == "ticket" for a in found) for policy, found in told.items()},
        "told": {policy: [_told(a) for a in found if a.severity != "digest"] for policy, found in told.items()},
        "injected": list(injected),
        "months": by_month,
        "events": {policy: _events(s, model_name) for policy, s in stores.items()},
        "decisions": {policy: decisions(s, model, start.id, end.id) for policy, s in stores.items()},
    }
    out["coverage"] = {
        policy: round(len(t) / max(_scored(stores[policy], model, nights), 1), 4) for policy, t in outcomes.items()
    }
    return out


def _told(alarm: Alarm) -> dict[str, Any]:
    keys = ("window", "severity", "cause", "about", "subject", "text", "effect", "why_not_page")
    return {key: getattr(alarm, key) for key in keys}


def _scored(stores: Stores, model: Model, nights: list[str]) -> int:
    return sum(s.rows for s in stores.lake.many("inferences", model.name, nights))


def _months(stores: Stores, model: Model, table: pa.Table) -> dict[str, dict[str, float | None]]:
    months = pc.utf8_slice_codeunits(table["window"], 0, 7).to_numpy(zero_copy_only=False)
    specs = {
        v["version"]: stores.package(model.name, v["version"], v["digest"]).spec
        for v in stores.records.versions(model.name)
    }
    out = {}
    for month in sorted(set(months.tolist())):
        rows = table.filter(pa.array(months == month))
        out[month] = _metrics(model, rows, specs)
    return out


def _metrics(model: Model, rows: pa.Table, specs: dict[int, dict[str, Any]]) -> dict[str, float | None]:
    from tidegate.performance.tally import total

    versions = rows["version"].to_numpy()
    tally = total(
        [
            tally_of(model, scores_of(part), part["label"].to_numpy(), cuts_of(specs[v], part))
            for v in sorted(set(versions.tolist()))
            for part in [rows.filter(pa.array(versions == v))]
        ]
    )
    values = metrics(model.kind, tally)
    if model.kind == "binary":
        from sklearn.metrics import average_precision_score, roc_auc_score

        y, p = rows["label"].to_numpy(), scores_of(rows)
        if len(np.unique(y)) == 2:
            values |= {"roc_auc": float(roc_auc_score(y, p)), "pr_auc": float(average_precision_score(y, p))}
    return {"n": rows.num_rows, **{k: None if math.isnan(v) else v for k, v in values.items()}}


def _policy(model: Model, months: dict[str, dict[str, float | None]]) -> dict[str, Any]:
    """Means over the months in which a metric is defined; None where it is in none."""
    means: dict[str, Any] = {}
    for name in METRICS[model.kind]:
        known = [v for m in months.values() if (v := m[name]) is not None]
        means[name] = float(np.mean(known)) if known else None
    if "roc_auc" in means:
        means["auc"] = means["roc_auc"]
    return means


def _events(stores: Stores, model: str) -> list[dict[str, Any]]:
    return [
        {
            "window": v["body"]["window"],
            "version": v["version"],
            "reason": v["body"]["reason"],
            "status": v["status"],
            "looks": v["body"]["looks"],
            "promoted": v["body"].get("promoted"),
        }
        for v in stores.records.versions(model)
    ]
