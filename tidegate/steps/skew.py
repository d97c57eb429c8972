"""Skew: a sample of a window's logged rows, replayed through the registered package and held against the warehouse."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.environment import environment_digest
from tidegate.adapters.packages import Loaded
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.contract.conform import ARROW
from tidegate.drift.bounds import bounds
from tidegate.errors import SourceError, TidegateError
from tidegate.performance.service import NIGHTLY, share_above
from tidegate.performance.skew import SAME, Line, Replay, input_lines, judge_skew, replay_lines
from tidegate.profile.profile import profile_of
from tidegate.profile.table import from_table
from tidegate.steps.ingest import frozen_grid
from tidegate.steps.score import scores_of
from tidegate.steps.service import SERVED, logged_ever
from tidegate.steps.stores import Stores
from tidegate.verdicts import Effect, Signal, Verdict
from tidegate.windows import Window

KIND = "skew"
INPUT = "in_"
"""Before the name of a logged column."""
CHANGED = {"drop": "dropped", "pseudonym": "pseudonymised", "generalise": "generalised", "round": "rounded"}
USUAL = 14.0
"""Design effect of nights where none is known (ADR 3)."""
PROFILED = 50_000
"""Rows of a window, at most, whose distribution is compared."""


def replay_served(stores: Stores, model: Model, window: Window, now: datetime) -> Verdict | None:
    """Replay a sample of the window's logged rows; None if it has none, or none are asked for.

    The verdict `skew` has the lines; a window whose log has not grown is not replayed again.
    """
    stored = stores.lake.stored(SERVED, model.name, window.id) if logged_ever(stores, model) else None
    if stored is None or not stored.rows or not model.serving.skew_rows:
        return None
    of = [stored.digest, environment_digest(), model.serving.skew_rows]
    known = stores.records.verdict(model.name, KIND, window.id)
    if known is not None and known.numbers.get("of") == of:
        return known
    rows = stores.lake.read(SERVED, model.name, [window.id])
    rng = np.random.default_rng(int(stored.digest[:16], 16))
    verdict = _replayed(stores, model, window, rows, rng)
    verdict = replace(verdict, numbers={**verdict.numbers, "of": of})
    stores.records.put_verdict(model.name, KIND, window.id, verdict, now)
    return verdict


def skew_signals(stores: Stores, model: Model, window: Window) -> list[Signal]:
    """A signal for each kind of skew that the window's verdict proves."""
    verdict = stores.records.verdict(model.name, KIND, window.id) if logged_ever(stores, model) else None
    if verdict is None or verdict.outcome != "fail":
        return []
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    back = [calendar.shift(window, -k).id for k in range(model.alarms.within - 1, -1, -1)]
    lately = stores.records.verdicts(model.name, KIND, back)
    out = []
    worst: dict[str, Line] = {}
    for line in verdict.numbers["lines"]:
        had = worst.get(line["what"])
        if line["outcome"] == "fail" and (had is None or line["rows"] > had["rows"]):
            worst[line["what"]] = line
    for what, line in worst.items():
        on = [w for w in back if w in lately and what in _kinds(lately[w])]
        out.append(_signal(window.id, on[0] if on else window.id, line, lasts=len(on) >= model.alarms.persistence))
    return out


def _kinds(verdict: Verdict) -> set[str]:
    return {line["what"] for line in verdict.numbers.get("lines", ()) if line["outcome"] == "fail"}


def _signal(window: str, since: str, line: Line, *, lasts: bool) -> Signal:
    what, share = str(line["what"]), 100.0 * line["rows"] / line["of"]
    # Another score is another answer, whatever it costs; another input may be the warehouse's fault.
    harm = what != "input"
    low = 100 * share_above(line["rows"], line["of"], NIGHTLY)
    statistic = f"{what} skew, % of rows"
    effect = Effect(share, statistic, f"answers are not those of the model that was gated: {what} skew", harm, low=low)
    return Signal(
        window, "service", "skew", statistic, "harm" if harm else "sudden", share, low, math.inf, math.nan, since,
        lasts, True, effect, harm, str(line["words"]),
    )  # fmt: skip


def _replayed(stores: Stores, model: Model, window: Window, rows: pa.Table, rng: np.random.Generator) -> Verdict:
    dataset = stores.project.dataset(model.dataset)
    many = min(model.serving.skew_rows, rows.num_rows)
    sample = rows.take(np.sort(rng.choice(rows.num_rows, many, replace=False)))
    why: list[str] = []
    parts: list[Replay] = []
    for digest in pc.unique(sample["package"]).to_pylist():
        part = sample.filter(pc.equal(sample["package"], digest))
        package = _package(stores, model, digest)
        unfit = package if isinstance(package, str) else _unfit(package, dataset, part)
        if unfit or isinstance(package, str):
            why.append(f"{unfit} ({part.num_rows} of {many} rows)")
        else:
            parts.append(_replay(package, part))
    lines = _lines(parts)
    lines += input_lines(_against_batches(stores, dataset, window, sample))
    return judge_skew(lines, tuple(why), _drifted(stores, model, dataset, rows))


def _package(stores: Stores, model: Model, digest: str) -> Loaded | str:
    """The registered package of a digest; in words why there is none."""
    found = next((v for v in stores.records.versions(model.name) if v["digest"] == digest), None)
    if found is None:
        return f"not replayable: no version of {model.name} has package {str(digest)[:12]}"
    try:
        return stores.package(model.name, found["version"], digest)
    except TidegateError as fault:
        return f"not replayable: {fault}"


def _unfit(package: Loaded, dataset: Dataset, part: pa.Table) -> str:
    """The first feature that the log does not have as it was."""
    for name in package.spec["features"]:
        privacy = dataset.columns[name].privacy if name in dataset.columns else "drop"
        if privacy != "keep":
            return f"not replayable: column {name} is {CHANGED[privacy]}"
        if f"{INPUT}{name}" not in part.column_names:
            return f"not replayable: column {name} was not logged"
    return ""


def _replay(package: Loaded, part: pa.Table) -> Replay:
    """Rows scored by the package itself, whatever path they were answered by."""
    features = package.spec["features"]
    table = pa.table({n: part[f"{INPUT}{n}"].cast(ARROW[kind]) for n, kind in features.items()})
    served = scores_of(part)
    try:
        again = package.scores(table)
    except SourceError:
        again = np.full(served.shape, np.nan)
        for i in range(table.num_rows):
            try:
                again[i] = package.scores(table.slice(i, 1))[0]
            except SourceError:
                continue
    own = [str(package.spec["user"]["digest"])] * part.num_rows
    return Replay(served, again, part["code"].to_pylist(), own, part["environment"].to_pylist(), environment_digest())


def _lines(parts: list[Replay]) -> list[Line]:
    if not parts:
        return []
    whole = Replay(
        np.concatenate([p.served for p in parts]), np.concatenate([p.again for p in parts]),
        [c for p in parts for c in p.code], [c for p in parts for c in p.own_code],
        [e for p in parts for e in p.environment], parts[0].here,
    )  # fmt: skip
    return replay_lines(whole)


# -- inputs -----------------------------------------------------------------------------------


def _against_batches(
    stores: Stores, dataset: Dataset, window: Window, sample: pa.Table
) -> dict[str, tuple[int, int]]:  # fmt: skip
    """Values compared and values that differ, by column, of the rows that a batch has too."""
    rows = sample.filter(pc.is_valid(sample["row_id"]))
    kept = [n for n, c in dataset.columns.items() if c.privacy == "keep" and f"{INPUT}{n}" in rows.column_names]
    if not rows.num_rows or not kept:
        return {}
    calendar = stores.project.calendar(dataset)
    windows = {window.id}
    if dataset.event_time in kept:
        windows = {calendar.of(t).id for t in rows[f"{INPUT}{dataset.event_time}"].drop_null().to_pylist()}
    names = [n for n in kept if n not in dataset.key]
    batch = stores.data.read("batches", dataset.name, sorted(windows))
    if not batch.num_rows:
        return {}
    names = [n for n in names if n in batch.column_names]
    batch = batch.select(["row_id", *names]).filter(pc.is_in(batch["row_id"], rows["row_id"].combine_chunks()))
    at = {row_id: i for i, row_id in enumerate(batch["row_id"].to_pylist())}
    both = [(i, at[r]) for i, r in enumerate(rows["row_id"].to_pylist()) if r in at]
    if not both:
        return {}
    ours, theirs = (pa.array([pair[k] for pair in both]) for k in (0, 1))
    out = {}
    for name in names:
        logged = rows[f"{INPUT}{name}"].take(ours).to_pylist()
        known = batch[name].take(theirs).to_pylist()
        out[name] = (len(both), sum(not _alike(a, b) for a, b in zip(logged, known, strict=True)))
    return out


def _alike(a: Any, b: Any) -> bool:
    gone = [v is None or (isinstance(v, float) and math.isnan(v)) for v in (a, b)]
    if any(gone):
        return all(gone)
    if isinstance(a, float) and isinstance(b, float | int):
        return abs(a - b) <= SAME * max(1.0, abs(b))
    return bool(a == b)


def _drifted(stores: Stores, model: Model, dataset: Dataset, rows: pa.Table) -> list[str]:
    """Features whose served values are surely further from the champion's reference than their margins."""
    champion = stores.champion(model.name)
    if champion is None or stores.data_records.grid(dataset.name) is None:
        return []
    package, limits = champion[1], model.monitors
    grid = frozen_grid(stores, dataset)
    names = [
        n for n in package.spec["features"]
        if n in grid.axes and f"{INPUT}{n}" in rows.column_names and dataset.columns[n].privacy == "keep"
    ]  # fmt: skip
    if not names:
        return []
    reference = from_table(package.reference("profile"), grid).only(names)
    few = rows.slice(0, PROFILED)
    current = profile_of(pa.table({n: few[f"{INPUT}{n}"] for n in names}), reference.grid)
    effect = float(package.spec.get("design_effect") or math.nan)
    effect = effect if math.isfinite(effect) else USUAL
    margins = {"psi": limits.psi_margin, "missing": limits.missing_margin, "unseen": limits.unseen_margin}
    out = []
    for name in names:
        found = bounds(
            reference.columns[name], current.columns[name], confidence=limits.confidence, design_effect=effect
        )
        if any(found[what].low > margin for what, margin in margins.items() if what in found):
            out.append(name)
    return out


__all__ = ["KIND", "replay_served", "skew_signals"]
