"""Estimate: the performance of windows whose labels have not come, and how far estimates were off when they came.

An estimate assumes that the same inputs lead to the same outcomes. It promotes nothing and silences nothing; it is
trusted only while estimates were better than the reference's own value on the windows that matured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.performance.gap import LEAST, Chart, NightGap, Yardstick, advantage, chart, loudest
from tidegate.performance.metrics import METRICS, metrics
from tidegate.steps.expectation import Expectation, expectation, watched_metrics
from tidegate.steps.measure import matured
from tidegate.steps.outcomes import join, labels_of, tally_table
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
from tidegate.windows import Window

BEYOND = 2.0
"""Estimates that were off by more than so many times their stated error are not what they say they are."""

SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("se", pa.float64()),
        ("n", pa.int64()),
        ("n_eff", pa.float64()),
        ("version", pa.int32()),
        ("trusted", pa.bool_()),
    ]
)


def estimate(stores: Stores, model: Model, window: Window, now: datetime) -> None:
    """Judge the estimates of what has matured, then estimate what was scored and has not; once each."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    event, restate = matured(stores, model, window), stores.project.dataset(model.dataset).restate.days
    late = [calendar.shift(event, -k).id for k in range(restate, -1, -1)]
    known = stores.records.verdicts(model.name, "gap")
    for due in _measured(stores, model, late, known, now):
        known[due] = judge_gap(stores, model, calendar.window(due), window, known)
        stores.records.put_verdict(model.name, "gap", due, known[due], now)
    open_ = [w.id for w in calendar.range(calendar.shift(event, 1).date, window.date)] or [window.id]
    scored = {s.window: s for s in stores.lake.many("inferences", model.name, open_) if s.rows}
    done = {s.window: s for s in stores.lake.many("estimates", model.name, open_)}
    past = {w: v for w, v in known.items() if w <= event.id}
    for due, rows in scored.items():
        if due == window.id or due not in done or done[due].known_at < rows.known_at:
            _estimate(stores, model, calendar.window(due), past, now)
    if window.id not in scored and stores.champion(model.name) is not None:
        nothing = Verdict("inconclusive", ("no row of the window was scored",))
        stores.records.put_verdict(model.name, "estimate", window.id, nothing, now)


def _measured(
    stores: Stores, model: Model, events: list[str], known: Mapping[str, Verdict], now: datetime
) -> list[str]:
    """The matured windows that were measured just now, or whose gap nobody has judged."""
    found = {s.window: s.known_at for s in stores.lake.many("metrics", model.name, events)}
    return [e for e in events if e in found and (e not in known or found[e] >= now)]


def _estimate(stores: Stores, model: Model, event: Window, past: Mapping[str, Verdict], now: datetime) -> None:
    rows = stores.lake.read("inferences", model.name, [event.id])
    version, package = _scored_by(stores, model, rows)
    expected = expectation(stores, model, package)
    if expected.why:
        stores.records.put_verdict(model.name, "estimate", event.id, Verdict("inconclusive", (expected.why,)), now)
        return
    tally = expected.tally(stores, event.id, rows)
    values = {k: v for k, v in metrics(model.kind, tally).items() if math.isfinite(v) and k in expected.yardsticks}
    # The rest is made of the same chances: it is trusted as the primary metric is.
    asked = {model.metric.primary, *watched_metrics(model), "kpi"}
    trust = {n: judge_trust(model, n, version, past, expected.yardsticks.get(n)) for n in asked}
    first = trust[model.metric.primary]
    effect = float(package.spec.get("design_effect") or math.nan)
    out = [
        {"metric": name, "value": value, "se": expected.yardsticks[name].se(tally.n), "n": tally.n,
         "n_eff": tally.n / effect, "version": version, "trusted": trust.get(name, first).passed}
        for name, value in values.items()
    ]  # fmt: skip
    stores.lake.put("estimates", model.name, event.id, pa.Table.from_pylist(out, schema=SCHEMA), now)
    stores.records.put_verdict(model.name, "estimate", event.id, first, now)


def _scored_by(stores: Stores, model: Model, rows: pa.Table) -> tuple[int, Loaded]:
    version = int(rows["version"][0].as_py())
    return version, stores.package(model.name, version, rows["package"][0].as_py())


def judge_trust(
    model: Model, metric: str, version: int, past: Mapping[str, Verdict], known: Yardstick | None
) -> Verdict:
    """Whether estimates of a metric were better than the constant, the reference's realised value.

    Judged on the matured nights of the champion, or while it has too few on those of all champions: passes when the
    squared error is surely lower, at the confidence that actions are taken at, and at most `BEYOND` times what the
    estimates stated. Where both are far off the better one is no good either.
    """
    block, nights, of = model.gate.block_nights, _nights(past, metric, version), "its own"
    found = advantage(nights, block)
    if found.blocks < LEAST:
        nights, of = _nights(past, metric, None), "all champions'"
        found = advantage(nights, block)
    numbers = {"metric": metric, "version": version, "nights": len(nights), "of": of}
    if not nights:
        return Verdict("inconclusive", ("estimates are not trusted: no matured night",), numbers)
    if found.blocks < LEAST:
        why = f"{found.blocks} blocks of matured nights, {LEAST} needed"
        return Verdict("inconclusive", (f"estimates are not trusted: {why}",), numbers)
    off = math.sqrt(sum(g.gap**2 for g in nights.values()) / len(nights))
    constant = math.sqrt(sum(g.off**2 for g in nights.values()) / len(nights))
    numbers |= {"error": off, "constant_error": constant, "advantage": -found.value, "se": found.se}
    words = (
        f"{metric} was off by {off:.4f} on {len(nights)} matured nights ({of}), the reference's value by {constant:.4f}"
    )
    stated = math.sqrt(sum(known.se(g.n) ** 2 for g in nights.values()) / len(nights)) if known else math.nan
    numbers["stated"] = stated
    if off > BEYOND * stated:
        return Verdict(
            "fail", (f"estimates are not trusted: {words}; {off / stated:.1f} times the error stated",), numbers
        )
    if found.upper(1 - model.decision.confidence) < 0:
        return Verdict("pass", (f"estimates are trusted: {words}",), numbers)
    return Verdict("fail", (f"estimates are not trusted: {words}",), numbers)


def judge_gap(stores: Stores, model: Model, event: Window, window: Window, known: Mapping[str, Verdict]) -> Verdict:
    """Realised − estimated on a window that matured by the evening of `window`, and whether the gap stays.

    Fails for a persistent gap that makes performance worse than estimated. Both are of the same rows, those that have
    a label; a night with too few of them is not judged.
    """
    rows = stores.lake.read("inferences", model.name, [event.id])
    if not rows.num_rows:
        return Verdict("inconclusive", ("the window was not scored",))
    version, package = _scored_by(stores, model, rows)
    covered, expected = stores.records.verdict(model.name, "coverage", event.id), expectation(stores, model, package)
    why = expected.why or ("" if covered is not None and covered.passed else "too few rows of the window have a label")
    if why:
        return Verdict("inconclusive", (why,), {"version": version})
    joined = join(rows, labels_of(stores, model, [event.id], window))
    realised = tally_table(model, joined, cuts_of(package.spec, joined))
    guessed = expected.tally(stores, event.id, joined)
    night: dict[str, list[float | int]] = {}
    for name, y in expected.yardsticks.items():
        value = METRICS[model.kind][name](realised)
        gap = value - METRICS[model.kind][name](guessed)
        if math.isfinite(gap):
            night[name] = [gap, value - y.usual, realised.n]
    tonight = Verdict("inconclusive", (), {"version": version, "night": night})
    return _charted(model, expected, event, {**known, event.id: tonight}, tonight.numbers)


def _charted(
    model: Model, expected: Expectation, event: Window, known: Mapping[str, Verdict], numbers: Mapping[str, object]
) -> Verdict:
    upto = {w: v for w, v in known.items() if w <= event.id}
    version, block = known[event.id].numbers["version"], model.gate.block_nights
    charts = [
        c for name, limit in expected.limits.items()
        if (c := chart(name, _nights(upto, name, version), expected.yardsticks[name], block, limit, event.id))
    ]  # fmt: skip
    persistent = [c for c in charts if c.persistent]
    first = loudest(persistent or charts)
    if first is None:
        few = max((y.blocks for y in expected.yardsticks.values()), default=0)
        why = f"the reference's gaps say too little: {few} blocks of nights"
        return Verdict("inconclusive", (why,), numbers)
    numbers = {**numbers, "metric": first.metric, "gap": first.gap, "se": first.se, "since": first.since,
               "nights": first.nights, "charts": {c.metric: _plain(c) for c in charts}}  # fmt: skip
    if persistent:
        return Verdict("fail", (_words(first, "worse"),), numbers)
    if first.better > first.limit:
        return Verdict("pass", (_words(first, "better"),), numbers)
    return Verdict("pass", (f"no persistent gap of {' and '.join(expected.limits)}",), numbers)


def _words(c: Chart, how: str) -> str:
    return (
        f"{c.metric} came out {how} than estimated by {abs(c.gap):.4f} ± {c.se:.4f} since {c.since}, "
        f"{c.nights} nights (sum {max(c.worse, c.better):.1f}, limit {c.limit:.1f})"
    )


def _plain(c: Chart) -> dict[str, object]:
    return {"worse": c.worse, "better": c.better, "limit": c.limit, "since": c.since, "nights": c.nights, "gap": c.gap,
            "se": c.se}  # fmt: skip


def _nights(known: Mapping[str, Verdict], metric: str, version: int | None) -> dict[str, NightGap]:
    """The matured nights of a version (of all, for None) on which a metric's gap is known."""
    return {
        w: NightGap(*v.numbers["night"][metric])
        for w, v in known.items()
        if metric in v.numbers.get("night", {}) and version in (None, v.numbers["version"])
    }
