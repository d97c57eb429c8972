"""What the dashboards are told of one model, read from control and the lake."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters import ledger
from tidegate.config.deciding import Costed
from tidegate.config.model import Model
from tidegate.errors import TidegateError
from tidegate.performance.blocks import cut, weighted
from tidegate.performance.service import QUANTILES, Service
from tidegate.performance.worth import has_kpi, worth_unit
from tidegate.report.boardfacts import Batch, Facts, Group, Release, Told, Trouble, Worth
from tidegate.steps import never
from tidegate.steps.decisions import decisions
from tidegate.steps.health import health_of
from tidegate.steps.stores import Stores

WINDOWS = 400
"""Windows that the pages go back."""
RECENT = 56
"""Matured windows that a group's mean is taken over."""
LEVEL = 0.025
MOST_ALARMS = 400
COSTED: Final[tuple[Costed, ...]] = ("retrain", "recalibrate", "move_threshold")


def facts_of(stores: Stores, model: Model, now: datetime, folder: Path, runbooks: Mapping[str, str]) -> Facts:
    """Everything that the pages show of a model; what is missing is empty."""
    how = health_of(stores, model.name, now)
    quality = stores.data_records.verdicts(model.dataset, "quality")
    scored = {s.window for s in stores.lake.many("findings", model.name)}
    windows = sorted({*quality, *scored})[-WINDOWS:]
    metrics, segments = _metrics(stores, model, windows)
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    why = never.against_never(stores, model, calendar.of(now), now)
    coverage = stores.records.verdicts(model.name, "coverage", windows)
    shares = {w: v for w, v in _coverage(stores, model, windows).items() if w in coverage}
    costs: dict[str, float] = {a: model.decision.costs.of(a).total for a in COSTED}
    return Facts(
        model.name, how.state, how.words, how.next, model.estimator.build is None, worth_unit(model), has_kpi(model),
        model.metric.primary, how.champion, how.since, windows,
        batches={w: _batch(quality[w]) for w in windows if w in quality},
        metrics=metrics,
        estimates=_estimates(stores, model, windows),
        drift=_drift(stores, model, windows),
        service=_service(stores, model, windows),
        decisions=decisions(stores, model, windows[0] if windows else ""),
        switches=_switches(stores, model.name),
        alarms=tuple(
            Told(a.window, a.severity, a.subject, a.text, a.next_command, a.runbook, a.incident, a.effect)
            for a in stores.records.alarms(model.name)[-MOST_ALARMS:]
        ),
        incidents=tuple(
            Trouble(i.number, i.severity, i.status, i.cause, i.opened, i.last, i.text)
            for i in stores.incidents.listed(closed=True)
            if (i.scope, i.name) in (("model", model.name), ("dataset", model.dataset))
        ),
        releases=_releases(stores, model),
        groups=_groups(model, segments),
        worth=_worth(stores, model, windows),
        never_why=why,
        coverage={w: (coverage[w].outcome, share) for w, share in shares.items()},
        costs=costs,
        block=model.gate.block_nights,
        today=calendar.of(now).id,
        links=_links(stores, model, folder, windows) | {f"runbook/{n}": href for n, href in runbooks.items()},
    )  # fmt: skip


def _batch(verdict: Any) -> Batch:
    n = verdict.numbers
    return Batch(
        verdict.outcome, int(n.get("rows") or 0), int(n.get("quarantined") or 0), "; ".join(verdict.reasons[:2])
    )


def _read(stores: Stores, table: str, model: str, windows: Sequence[str]) -> pa.Table | None:
    there = {s.window for s in stores.lake.many(table, model) if s.rows}
    wanted = [w for w in windows if w in there]
    return stores.lake.read(table, model, wanted) if wanted else None


def _metrics(
    stores: Stores, model: Model, windows: Sequence[str]
) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    """The metrics of all rows by window, and the primary one by protected group."""
    table = _read(stores, "metrics", model.name, windows)
    if table is None:
        return {}, []
    whole = table.filter(pc.equal(table["segment"], "all"))
    out: dict[str, dict[str, float]] = {}
    for window, metric, value in zip(*(whole[c].to_pylist() for c in ("window", "metric", "value")), strict=True):
        if metric != "tally" and value is not None and math.isfinite(value):
            out.setdefault(window, {})[metric] = value
    of = pc.and_(pc.is_in(table["segment"], pa.array(list(model.protected), pa.string())),
                 pc.equal(table["metric"], model.metric.primary))  # fmt: skip
    return dict(sorted(out.items())), table.filter(of).select(
        ["window", "segment", "value_of", "value", "n"]
    ).to_pylist()


def _groups(model: Model, rows: list[dict[str, Any]]) -> tuple[Group, ...]:
    newest = set(sorted({r["window"] for r in rows})[-RECENT:])
    by: dict[tuple[str, str], dict[str, tuple[float, int]]] = {}
    for r in rows:
        if r["window"] in newest and r["value"] is not None and math.isfinite(r["value"]) and r["n"]:
            by.setdefault((r["segment"], str(r["value_of"])), {})[r["window"]] = (r["value"], int(r["n"]))
    out = []
    for (column, value), nights in sorted(by.items()):
        blocks = [b for b in cut(sorted(nights), model.gate.block_nights) if b]
        sizes = [sum(nights[w][1] for w in b) for b in blocks]
        means = [sum(nights[w][0] * nights[w][1] for w in b) / n for b, n in zip(blocks, sizes, strict=True)]
        e = weighted(means, sizes)
        if e.blocks:
            out.append(Group(column, value, model.metric.primary, e.value, e.lower(LEVEL), e.upper(LEVEL), sum(sizes)))
    return tuple(out)


def _estimates(stores: Stores, model: Model, windows: Sequence[str]) -> dict[str, tuple[float, float]]:
    table = _read(stores, "estimates", model.name, windows)
    if table is None:
        return {}
    of = table.filter(pc.and_(pc.equal(table["metric"], model.metric.primary), pc.equal(table["trusted"], True)))
    rows = zip(*(of[c].to_pylist() for c in ("window", "value", "se")), strict=True)
    return {w: (v, se) for w, v, se in rows if v is not None and math.isfinite(v) and math.isfinite(se)}


def _drift(stores: Stores, model: Model, windows: Sequence[str]) -> dict[str, dict[str, float]]:
    """How far each subject is up to its limit, the larger of the night's own change and what has added up."""
    table = _read(stores, "findings", model.name, windows)
    if table is None:
        return {}
    columns = ("window", "subject", "z", "limit", "total", "total_limit")
    out: dict[str, dict[str, float]] = {}
    for window, subject, z, limit, total, most in zip(*(table[c].to_pylist() for c in columns), strict=True):
        shares = [
            abs(v) / at for v, at in ((z, limit), (total, most)) if v is not None and at and math.isfinite(v / at)
        ]
        if shares:
            night = out.setdefault(window, {})
            night[subject] = max(night.get(subject, 0.0), *shares)
    return dict(sorted(out.items()))


def _service(stores: Stores, model: Model, windows: Sequence[str]) -> dict[str, dict[str, Any]]:
    out = {}
    for window, verdict in sorted(stores.records.verdicts(model.name, "service").items()):
        if window not in windows or "service" not in verdict.numbers:
            continue
        seen = Service.from_dict(verdict.numbers["service"])
        out[window] = {
            "answered": seen.answered, "error_share": seen.error_share,
            "per_second": seen.answered / seen.seconds if seen.seconds else math.nan,
            "resources": verdict.numbers.get("resources") or {},
            **{name: seen.latencies.quantile(q).value for name, q in QUANTILES.items()},
        }  # fmt: skip
    return out


def _switches(stores: Stores, model: str) -> tuple[tuple[str, int | None, int | None, str, str], ...]:
    out = []
    for entry in ledger.entries(stores.control, stores.namespace, model, "plan"):
        body = entry["body"]
        why = body.get("reason") or body.get("approval") or body.get("override") or ""
        window = str(entry["window"] or str(entry["at"])[:10])
        out.append((window, body["from"]["champion"], body["to"]["champion"], str(body.get("by") or ""), str(why)))
    return tuple(out)


def _releases(stores: Stores, model: Model) -> tuple[Release, ...]:
    out = []
    for v in stores.records.versions(model.name):
        body = v["body"]
        looks = body.get("looks") or []
        last = looks[-1] if looks else {}
        out.append(Release(
            v["version"], v["status"], str(body.get("trained_through") or ""), int(body.get("rows") or 0),
            str(body.get("window") or ""), str(body.get("reason") or ""), v["digest"], str(body.get("run_id") or ""),
            str(last.get("outcome") or ""), tuple(last.get("reasons") or ()),
        ))  # fmt: skip
    return tuple(out)


def _worth(stores: Stores, model: Model, windows: Sequence[str]) -> dict[str, Worth]:
    found = sorted(stores.records.verdicts(model.name, never.KIND).items())
    return {
        w: Worth(v.numbers["served"], v.numbers.get("never"), v.numbers["n"], v.numbers["version"])
        for w, v in found if w in windows
    }  # fmt: skip


def _coverage(stores: Stores, model: Model, windows: Sequence[str]) -> dict[str, float]:
    table = _read(stores, "metrics", model.name, windows)
    if table is None:
        return {}
    tally = table.filter(pc.and_(pc.equal(table["segment"], "all"), pc.equal(table["metric"], "tally")))
    return {w: float(c or 0.0) for w, c in zip(tally["window"].to_pylist(), tally["coverage"].to_pylist(), strict=True)}


def _links(stores: Stores, model: Model, folder: Path, windows: Sequence[str]) -> dict[str, str]:
    """Drift reports that are there, and the evidence of versions, copied once from the registry."""
    reports = stores.home.state / "reports" / model.name
    out = {w: f"../reports/{model.name}/{w}.html" for w in windows if (reports / f"{w}.html").is_file()}
    for v in stores.records.versions(model.name):
        looks = len(v["body"].get("looks") or [])
        if not looks:
            continue
        name = f"evidence/{model.name}-{v['version']}-{looks}.html"
        if not (folder / name).is_file() and not _copied(stores, v["body"].get("run_id"), looks, folder / name):
            continue
        out[f"evidence/{v['version']}"] = name
    return out


def _copied(stores: Stores, run: str | None, look: int, to: Path) -> bool:
    if not run or not (stores.home.state / "mlflow.db").is_file():
        return False
    from tidegate.adapters.registry import existing

    try:
        page = existing(stores.home.state).evidence(run, f"gate_{look}.html")
    except TidegateError:
        return False
    if page is None:
        return False
    with suppress(OSError):
        to.parent.mkdir(parents=True, exist_ok=True)
        draft = to.with_name(f".{os.getpid()}-{to.name}")
        draft.write_bytes(page.read_bytes())
        draft.replace(to)
        return True
    return False


__all__ = ["facts_of"]
