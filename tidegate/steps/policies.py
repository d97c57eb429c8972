"""Policies of one replay in money: their rows and actions by night, the comparison, and where it is kept."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.config.deciding import Costed
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.errors import StoreError, UsageError
from tidegate.lab.policies import FLOOR, Nights, compared, segments
from tidegate.performance.value import row_value, unit_of
from tidegate.rollout.history import rollbacks
from tidegate.steps.oracle import oracle_of
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.pins import plan_changes
from tidegate.steps.replaying import EVERY
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores, open_stores
from tidegate.windows import Window

SEGMENTS = 4


def compare_policies(base: Home, model_name: str, replay_id: str, *, parts: int | None = None) -> dict[str, Any]:
    """The policies of a finished replay with the hindsight oracle, as `summary.json` and the scoreboard hold them.

    Raises
    ------
    UsageError
        If there is no such replay, it is of another model, or no policy of it has come to its end.
    """
    homes, request, unfinished = finished(base, replay_id)
    if request["model"] != model_name:
        raise UsageError(f"replay {replay_id!r}", f"one of {model_name}", f"one of {request['model']}", "correct --id")
    stores = {policy: open_stores(home) for policy, home in homes.items()}
    first = next(iter(stores.values()))
    model = first.project.model(model_name)
    calendar = first.project.calendar(first.project.dataset(model.dataset))
    end = calendar.window(request["end"])
    nights = [w.id for w in calendar.range(request["start"], request["end"])]
    tables = common_outcomes(stores, model, nights, end)
    on = nights_of(stores, model, nights, tables)
    found = in_money(stores, model, on, parts)
    oracle = oracle_of(stores, model, on, tables, base.state / "replay" / replay_id / "oracle.parquet")
    for figures in found["policies"].values():
        whole, gain = oracle["gain"], figures["gain"]
        figures["distance"] = figures["cost"] - oracle["cost"]
        figures["part_of_oracle"] = gain / whole if gain is not None and whole is not None and whole > 0 else None
    return {
        "model": model_name,
        "replay": replay_id,
        "from": nights[0],
        "to": nights[-1],
        "rows": int(on.rows.sum()),
        "unfinished": unfinished,
        **found,
        "oracle": oracle,
    }


def finished(base: Home, replay_id: str) -> tuple[dict[str, Home], dict[str, Any], list[str]]:
    """The homes of a replay's policies that came to their end, what was asked of it, and the policies that did not."""
    folder, do = base.replay(replay_id, FLOOR).shared, "run tidegate replay first, with --policy every"
    try:
        request: dict[str, Any] = json.loads((folder / "request.json").read_text())
    except (OSError, ValueError):
        raise UsageError(f"replay {replay_id!r}", "a replay of that id", "none", do) from None
    homes = {p: base.replay(replay_id, p) for p in EVERY}
    begun = {p: h for p, h in homes.items() if (h.state / "progress.jsonl").is_file()}
    ended = {p: h for p, h in begun.items() if _ended(h.state / "progress.jsonl")}
    if not ended:
        raise UsageError(f"replay {replay_id!r}", "a policy that came to its end", "none", do)
    return ended, request, [p for p in begun if p not in ended]


def _ended(progress: Path) -> bool:
    lines = progress.read_text().splitlines()
    return bool(lines) and lines[-1] == json.dumps({"phase": "done"})


def common_outcomes(stores: Mapping[str, Stores], model: Model, nights: list[str], end: Window) -> dict[str, pa.Table]:
    """The labelled rows that every policy scored, with each one's scores, in the same order."""
    tables = {policy: scored_outcomes(s, model, nights, end) for policy, s in stores.items()}
    common = common_rows(list(tables.values()))
    return {p: t.filter(pc.is_in(t["row_id"], common)).sort_by("row_id") for p, t in tables.items()}


def scored_outcomes(stores: Stores, model: Model, nights: list[str], end: Window) -> pa.Table:
    """The scored rows of these nights whose label had come by the evening of `end`."""
    rows = stores.lake.read("inferences", model.name, nights)
    return join(rows, labels_of(stores, model, nights, end))


def common_rows(tables: list[pa.Table]) -> pa.Array:
    """The ids of the rows that are in all tables."""
    common = tables[0]["row_id"].combine_chunks()
    for table in tables[1:]:
        common = common.filter(pc.is_in(common, table["row_id"].combine_chunks()))
    return common


def nights_of(stores: Mapping[str, Stores], model: Model, nights: list[str], tables: Mapping[str, pa.Table]) -> Nights:
    """What each policy earned on its common outcomes and spent on its actions, night by night."""
    first = next(iter(tables.values()))
    return Nights(
        tuple(nights),
        by_night(nights, first, np.ones(first.num_rows)),
        {p: by_night(nights, t, _values(model, t)) for p, t in tables.items()},
        {p: _spent(s, model, nights) for p, s in stores.items()},
    )


def by_night(nights: list[str], table: pa.Table, values: np.ndarray) -> np.ndarray:
    """The sum of the rows' values on each night, shape (nights,)."""
    at = pc.index_in(table["window"], pa.array(nights)).to_numpy(zero_copy_only=False)
    return np.bincount(at.astype(np.int64), values, minlength=len(nights))


def _values(model: Model, table: pa.Table) -> np.ndarray:
    return row_value(model, scores_of(table), table["prediction"].to_numpy(), table["label"].to_numpy())


def actions_of(stores: Stores, model: Model) -> list[tuple[str, Costed]]:
    """Window and name of everything that was done to a model since its first one, failed trainings included."""
    records = stores.records
    made = [v["body"] for v in records.versions(model.name) if v["body"]["reason"] != "first_model"]
    done: list[tuple[str, Costed]] = [(b["window"], (b.get("adjusts") or {}).get("what", "retrain")) for b in made]
    done += [(w, v.numbers.get("what", "retrain")) for w, v in records.verdicts(model.name, "attempt").items()]
    done += [(w, "roll_back") for w in rollbacks(plan_changes(stores, model.name))]
    return sorted(done)


def _spent(stores: Stores, model: Model, nights: list[str]) -> np.ndarray:
    """What the actions of each night cost; only what was carried out, so no mended data."""
    at = {night: i for i, night in enumerate(nights)}
    out = np.zeros(len(nights))
    for window, action in actions_of(stores, model):
        if window in at:
            out[at[window]] += model.decision.costs.of(action).total
    return out


def in_money(stores: Mapping[str, Stores], model: Model, on: Nights, parts: int | None = None) -> dict[str, Any]:
    """`policies` with costs, gains and what was done, and `segments`: four, unless another number is asked for."""
    policies = compared(on)
    for policy, figures in policies.items():
        done = Counter(action for window, action in actions_of(stores[policy], model) if window >= on.nights[0])
        versions = stores[policy].records.versions(model.name)
        mine = [v["body"] for v in versions if v["body"]["reason"] != "first_model"]
        figures["retrains"] = done["retrain"]
        figures["actions"] = dict(sorted(done.items()))
        figures["promotions"] = sum("promoted" in body for body in mine)
    return {
        "unit": unit_of(model),
        "policies": policies,
        "segments": segments(on, min(SEGMENTS, len(on.nights)) if parts is None else parts),
    }


def put_on_scoreboard(base: Home, found: Mapping[str, Any]) -> Path:
    """Write the policies' figures into `var/lab/scoreboard.json`, whose other keys stay; returns its path.

    Raises
    ------
    StoreError
        If the file cannot be read as JSON, or not be written.
    """
    path = base.state / "lab" / "scoreboard.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        board = json.loads(path.read_text()) if path.is_file() else {}
        names = ("cost", "gain", "low", "high", "share_of_monthly", "share_low", "share_high", "kpi_per_row",
                 "retrains", "promotions", "distance", "part_of_oracle")  # fmt: skip
        rows = {p: {k: figures[k] for k in names} for p, figures in found["policies"].items()}
        oracle = found["oracle"]
        rows["oracle"] = {k: oracle[k] for k in ("cost", "gain", "kpi_per_row")} | {"retrains": oracle["switches"]}
        board["policies"] = rows
        part = path.with_name(f"{path.name}.{os.getpid()}-{uuid4().hex[:8]}.part")
        part.write_text(json.dumps(_finite(board), indent=1, allow_nan=False))
        part.replace(path)
    except (OSError, ValueError) as fault:
        raise StoreError(
            f"scoreboard {path}", "a JSON file that can be written", str(fault), "mend or move it"
        ) from None
    return path


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
