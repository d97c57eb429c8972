"""The hindsight oracle of a replay: every version that any policy trained, scored on every night after its training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.lab.oracle import best_path
from tidegate.lab.policies import FLOOR, Nights
from tidegate.performance.value import row_value
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of

CACHE = pa.schema([("digest", pa.string()), ("window", pa.string()), ("of", pa.string()), ("value", pa.float64())])
"""A package's digest, a night, the digest of the night's rows and labels, and what the package earned on them."""


@dataclass(frozen=True)
class Member:
    """A version of the pool: in which policy's home it was trained, and on which evening."""

    policy: str
    version: int
    digest: str
    trained: str


def oracle_of(stores: Mapping[str, Stores], model: Model, on: Nights, common: pa.Table, cache: Path) -> dict[str, Any]:
    """The best sequence of champions in hindsight on the nights of the comparison.

    Parameters
    ----------
    common : pyarrow.Table
        The common outcomes: ``row_id``, ``window``, ``label``.
    cache : Path
        Parquet file of what was scored before; only what is missing is scored.

    Returns
    -------
    dict
        ``cost`` and ``gain`` over never of the path that may switch every night, each switch at a retrain's cost:
        a bound that no policy can pass. ``paced`` has the same of one that keeps a champion for `retrain.cooldown`.
        ``path`` names the stretches with policy and version; ``pool`` counts the versions.
    """
    members = pool_of(stores, model)
    values = pool_values(stores, model, list(on.nights), members, common, cache)
    switch = model.decision.costs.of("retrain").total
    floor = float(-on.net(FLOOR).sum()) if FLOOR in on.value else None
    rows = float(on.rows.sum())
    dwell = max(1, model.retrain.cooldown.days)
    out: dict[str, Any] = {"pool": len(members)}
    for key, nights in (("", 1), ("paced", dwell)):
        best = best_path(values, switch, nights)
        kpi = best.value + switch * best.switches
        figures: dict[str, Any] = {
            "cost": -best.value,
            "gain": None if floor is None else floor + best.value,
            "kpi_per_row": kpi / rows if rows else None,
            "switches": best.switches,
            "path": _stretches(best.versions, on.nights, members),
        }
        out |= {key: figures} if key else figures
    return out


def pool_of(stores: Mapping[str, Stores], model: Model) -> list[Member]:
    """Every version that a policy trained, promoted or not; one that several trained alike counts once."""
    found = [
        Member(policy, v["version"], v["digest"], v["body"]["window"])
        for policy, s in stores.items()
        for v in s.records.versions(model.name)
    ]
    found.sort(key=lambda m: (m.trained, m.policy, m.version))
    return list({m.digest: m for m in reversed(found)}.values())[::-1]


def pool_values(
    stores: Mapping[str, Stores], model: Model, nights: list[str], members: list[Member], common: pa.Table, cache: Path
) -> np.ndarray:
    """What each member earns on each night after its training, shape (nights, members); NaN before.

    A night without common rows is worth 0 to all. Rows are scored a member at a time, all its nights in one go.
    """
    at, parts, of = _rows_by_night(nights, common)
    known = _read(cache)
    values = np.full((len(nights), len(members)), np.nan)
    missing: list[tuple[int, list[int]]] = []
    for column, member in enumerate(members):
        later = [i for i, night in enumerate(nights) if night > member.trained]
        values[later, column] = [
            0.0 if not of[i] else known.get((member.digest, nights[i], of[i]), np.nan) for i in later
        ]
        unknown = [i for i in later if np.isnan(values[i, column])]
        if unknown:
            missing.append((column, unknown))
    if missing:
        first = next(iter(stores.values()))
        batches = _batches(first, model, nights, common)
        for column, unknown in missing:
            member = members[column]
            package = stores[member.policy].package(model.name, member.version, member.digest)
            rows = np.concatenate([parts[i] for i in unknown])
            earned = _earned(model, package, batches.take(pa.array(rows)), common["label"].to_numpy()[rows])
            sums = np.bincount(at[rows], earned, minlength=len(nights))
            values[unknown, column] = sums[unknown]
            known |= {(member.digest, nights[i], of[i]): float(sums[i]) for i in unknown}
        _write(cache, known)
    return values


def _rows_by_night(nights: list[str], common: pa.Table) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """The night of each row, the rows of each night, and a digest of them; empty for a night without rows."""
    at = pc.index_in(common["window"], pa.array(nights)).to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.argsort(at, kind="stable")
    edges = np.searchsorted(at[order], np.arange(len(nights) + 1))
    parts = [order[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    ids, labels = common["row_id"].to_numpy(zero_copy_only=False), common["label"].to_numpy()
    of = [
        hashlib.sha256("\0".join(ids[p].tolist()).encode() + labels[p].tobytes()).hexdigest() if len(p) else ""
        for p in parts
    ]
    return at, parts, of


def _batches(stores: Stores, model: Model, nights: list[str], common: pa.Table) -> pa.Table:
    """The rows of the common outcomes as they came, in their order."""
    table = stores.data.read("batches", model.dataset, nights)
    where = pc.index_in(common["row_id"], table["row_id"].combine_chunks())
    return table.take(where).combine_chunks()


def _earned(model: Model, package: Loaded, rows: pa.Table, labels: np.ndarray) -> np.ndarray:
    return row_value(model, package.scores(rows), labels, cuts_of(package.spec, rows))


def _stretches(path: np.ndarray, nights: tuple[str, ...], members: list[Member]) -> list[dict[str, Any]]:
    """The path as stretches of one version each."""
    out: list[dict[str, Any]] = []
    for night, column in zip(nights, path.tolist(), strict=True):
        m = members[column]
        if out and (out[-1]["policy"], out[-1]["version"]) == (m.policy, m.version):
            out[-1]["to"] = night
        else:
            out.append({"from": night, "to": night, "policy": m.policy, "version": m.version, "trained": m.trained})
    return out


def _read(cache: Path) -> dict[tuple[str, str, str], float]:
    """What was scored before; a file that cannot be read is scored anew."""
    try:
        table = pq.read_table(cache, schema=CACHE)
    except (OSError, pa.ArrowException):
        return {}
    keys = zip(*(table[c].to_pylist() for c in ("digest", "window", "of")), strict=True)
    return dict(zip(keys, table["value"].to_pylist(), strict=True))


def _write(cache: Path, known: Mapping[tuple[str, str, str], float]) -> None:
    digest, window, of = zip(*known, strict=True) if known else ((), (), ())
    columns = {"digest": digest, "window": window, "of": of, "value": list(known.values())}
    part = cache.with_name(f"{cache.name}.{os.getpid()}-{uuid4().hex[:8]}.part")
    pq.write_table(pa.table(columns, schema=CACHE), part, write_page_checksum=True)
    part.replace(cache)
