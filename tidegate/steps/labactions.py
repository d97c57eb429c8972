"""What each action was really worth: all of them carried out from one evening, judged by what came true afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded, load
from tidegate.clock import evening_of
from tidegate.config.model import Model
from tidegate.contract.admit import row_ids
from tidegate.errors import TidegateError
from tidegate.lab.realised import row_values, with_fault
from tidegate.lab.rightaction import ORDER, right_set
from tidegate.performance.blocks import cut, weighted, widened
from tidegate.steps.adjust import What, adjusted_package
from tidegate.steps.former import former
from tidegate.steps.ingest import judge_window
from tidegate.steps.labbase import Base
from tidegate.steps.labbench import Bench, evenings
from tidegate.steps.labfork import carry_on, fork
from tidegate.steps.labframes import TRUTH
from tidegate.steps.labscene import Scene, promote_badly, scene_of
from tidegate.steps.retrain import build_candidate
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.windows import Window

WAIT = 28
"""Nights from the onset to the evening on which every action is carried out."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Came:
    """A night of the horizon: the good rows of its batch (None: blocked), which row each is, what came true of it.

    ``world``: the night's rows as they should have come, with what came true of them.
    """

    good: pa.Table | None
    index: NDArray[np.int64]
    truth: Floats
    world: pd.DataFrame


def play(bench: Bench, kind: str, size: int, seed: int) -> dict[str, Any] | None:
    """One scenario: lived through unattended, then every action; None where the fault finds nothing to touch.

    The evening of the actions is `WAIT` nights after the onset, for all scenarios. What the system chose is what it
    last recommended in the `decision.look_every` up to then. A package that an action leads to goes into service
    without a gate here: what is measured is what the action is worth, not whether its candidate would be let through.
    """
    base, began = bench.base, time.process_time()
    model = base.model
    horizon = model.decision.horizon.days
    usable = evenings(base, WAIT + horizon)
    if not usable:
        return None
    evening = usable[int(np.random.default_rng([seed, 3]).integers(len(usable)))]
    after = [d for d in base.nights.dates if d > evening]
    waits, later = after[:WAIT], after[WAIT : WAIT + horizon]
    scene = scene_of(bench, kind, size, seed, waits[0])
    if scene is None:
        return None
    with fork(base, evening) as stores:
        if kind == "bad_promotion":
            promote_badly(base, stores, size, evening)
        for night in waits:
            _deliver(scene, stores, night)
        told = [n.brief() for n in carry_on(base, stores, waits)]
        lived = time.process_time() - began
        packages, failed = carried_out(base, stores, base.window(waits[-1]))
        done = time.process_time() - began
        nights = {night: _came(scene, stores, night) for night in later}
        found = realised(bench, scene, packages, nights)
    net, se = worth_of(model, found, later)
    looked = told[-max(model.decision.look_every.days, 1) :]
    recommended = [n["action"] for n in looked if n["action"] != "nothing"]
    chosen = recommended[-1] if recommended else "nothing"
    return {
        "scenario": kind, "size": size, "seed": seed, "order": base.home.shared.parent.name, "onset": scene.onset,
        "evening": waits[-1], "plan": scene.words, "net": {a: _plain(v) for a, v in net.items()}, "failed": failed,
        "se": {f"{a}|{b}": _plain(v) for (a, b), v in se.items()}, "right": list(right_set(net, se)), "chosen": chosen,
        "first": next(([i, n["action"]] for i, n in enumerate(told) if n["action"] != "nothing"), None),
        "blocked": sum(n["blocked"] for n in told),
        "pages": sum(a["severity"] == "page" for n in told for a in n["alarms"]),
        "options": told[-1]["options"], "reason": told[-1]["reason"], "usual": bench.usual,
        "rows": int(sum(len(c.world) for c in nights.values())),
        "cpu": {"lived": round(lived, 1), "carried_out": round(done - lived, 1),
                "valued": round(time.process_time() - began - done, 1)},
    }  # fmt: skip


def _plain(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _deliver(scene: Scene, stores: Stores, night: str) -> None:
    nights = scene.bench.base.nights
    whole = nights.frame(night)
    came = scene.comes(night, whole)
    told = whole if scene.change is None or scene.change.fault.of == "rows" else came
    nights.deliver(stores.home, night, came, told)


def carried_out(base: Base, stores: Stores, window: Window) -> tuple[dict[str, Loaded], dict[str, str]]:
    """The package that each action leads to, and why an action could not be carried out."""
    model, now = stores.project.model(base.model_name), evening_of(window)
    champion = stores.champion(model.name)
    assert champion is not None
    found, failed = {"nothing": champion[1], "fix_data": champion[1]}, {}
    whats: tuple[What, ...] = ("recalibrate", "move_threshold")
    for what in whats:
        try:
            made = adjusted_package(stores, model, window, what)
            found[what] = load(made.folder.resolve(), made.digest)
        except TidegateError as fault:
            failed[str(what)] = str(fault)
    before = former(stores, model)
    if before is not None:
        found["roll_back"] = before[1]
    else:
        failed["roll_back"] = "no former champion"
    try:
        folder, digest = build_candidate(stores, model, window, now)
        found["retrain"] = load(folder.resolve(), digest)
    except TidegateError as fault:
        failed["retrain"] = str(fault)
    return found, failed


def _came(scene: Scene, stores: Stores, night: str) -> Came:
    """What reaches a model on a night of the horizon: the batch is judged as any, and not stored."""
    nights = scene.bench.base.nights
    whole = nights.frame(night)
    came = scene.comes(night, whole)
    nights.deliver(stores.home, night, came, whole)
    verdict, good, _ = judge_window(stores, nights.dataset, scene.bench.base.window(night))
    truth = scene.truth(whole, came).to_numpy(dtype=np.float64)
    world = whole if scene.recorded else whole.assign(**{TRUTH: came[TRUTH].groupby(level=0).first()
                                                         .reindex(whole.index).fillna(whole[TRUTH])})  # fmt: skip
    if not verdict.passed:
        return Came(None, np.zeros(0, dtype=np.int64), np.zeros(0), world)
    delivered = nights.with_keys(came)
    ids = row_ids([delivered[k] for k in nights.dataset.key])
    at = {row: i for i, row in reversed(list(enumerate(ids.tolist())))}
    position = np.array([at[r] for r in good["row_id"].to_pylist()], dtype=np.int64)
    return Came(good, came.index.to_numpy()[position], truth[position], world)


def realised(
    bench: Bench, scene: Scene, packages: Mapping[str, Loaded], nights: Mapping[str, Came]
) -> dict[str, dict[str, float]]:
    """The value of each night under each action, in the KPI's unit.

    A row that nothing scores (its night is blocked, or it is quarantined or did not come) is decided as the best
    constant answer would.
    """
    out: dict[str, dict[str, float]] = {}
    known: dict[tuple[str, bool], dict[str, float]] = {}
    for action, package in packages.items():
        mended = action == "fix_data" and scene.mendable
        key = (package.digest, mended)
        if key not in known:
            known[key] = _values(bench, package, nights, mended=mended)
        out[action] = known[key]
    return out


def _values(bench: Bench, package: Loaded, nights: Mapping[str, Came], *, mended: bool) -> dict[str, float]:
    base = bench.base
    if mended:
        given = {n: (base.nights.table(c.world), np.arange(len(c.world)), c.world[TRUTH].to_numpy(dtype=np.float64))
                 for n, c in nights.items()}  # fmt: skip
    else:
        given = {n: (c.good, c.index, c.truth) for n, c in nights.items() if c.good is not None and c.good.num_rows}
    values: dict[str, tuple[NDArray[np.int64], Floats]] = {}
    if given:
        # One call for all nights: a call of its own for each costs more than its rows do.
        whole = pa.concat_tables([table for table, _, _ in given.values()])
        told = row_values(
            base.model, package.scores(whole), np.concatenate([t for _, _, t in given.values()]),
            cuts_of(package.spec, whole),
        )  # fmt: skip
        ends = np.cumsum([table.num_rows for table, _, _ in given.values()])
        values = {n: (i, v) for (n, (_, i, _)), v in zip(given.items(), np.split(told, ends[:-1]), strict=True)}
    out: dict[str, float] = {}
    for night, came in nights.items():
        absent = bench.unscored(came.world)
        out[night] = with_fault(*values[night], absent)[0] if night in values else float(np.nansum(absent))
    return out


def worth_of(
    model: Model, found: Mapping[str, Mapping[str, float]], nights: list[str]
) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Each action's gain over doing nothing less its cost, and the standard error of each pair's difference.

    The error comes from blocks of nights, widened for what nights carry over (`performance.blocks`).
    """
    series = {a: np.array([v[n] for n in nights]) for a, v in found.items()}
    costs = {a: 0.0 if a == "nothing" else model.decision.costs.of(a).total for a in series}  # type: ignore[arg-type]
    net = {a: float((x - series["nothing"]).sum()) - costs[a] for a, x in series.items()}
    se: dict[tuple[str, str], float] = {}
    for i, a in enumerate(ORDER):
        for b in ORDER[i + 1 :]:
            if a in series and b in series:
                se[a, b] = _error(series[a] - series[b], nights, model.gate.block_nights)
    return {a: net.get(a, math.nan) for a in ORDER}, se


def _error(difference: Floats, nights: list[str], block: int) -> float:
    at = {n: i for i, n in enumerate(nights)}
    means = [float(difference[[at[n] for n in part]].mean()) for part in cut(nights, block)]
    found = widened(weighted(means, [1] * len(means)), difference, block)
    return found.se * len(nights)
