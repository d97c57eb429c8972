"""The hindsight oracle of a replay: every version that any policy trained, on every night after its training."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
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
from tidegate.lineage.digest import json_digest
from tidegate.performance.value import row_value
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of

CACHE = pa.schema([("training", pa.string()), ("window", pa.string()), ("of", pa.string()), ("value", pa.float64())])
"""A training, a night, the digest of the night's rows and labels, and what the training's package earned on them."""
ASIDE = ("config", "trained_at", "code")
"""What a package's spec says that does not change what it makes of a row; the policy is in the configuration."""
Known = dict[tuple[str, str, str], float]


@dataclass(frozen=True)
class Member:
    """A version of the pool: in which policy's home it was trained, on which evening, and the digest of what on."""

    policy: str
    version: int
    digest: str
    trained: str
    training: str


def oracle_of(
    stores: Mapping[str, Stores], model: Model, on: Nights, tables: Mapping[str, pa.Table], cache: Path
) -> dict[str, Any]:
    """The best sequence of champions in hindsight on the nights of the comparison.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        Each policy's outcomes on the common rows, in the same order.
    cache : Path
        Parquet file of what was scored before; only what is missing is scored.

    Returns
    -------
    dict
        ``cost`` and ``gain`` over never of the path that may switch every night, each switch at a retrain's cost:
        a bound that no sequence of these versions can pass. ``paced`` has the same of one that keeps a champion for
        `retrain.cooldown`. ``path`` names the stretches with policy and version; ``pool`` counts the versions.
    """
    versions = every_version(stores, model)
    members = list({m.training: m for m in reversed(versions)}.values())[::-1]
    known = _read(cache)
    nights = _Rows.of(on, next(iter(tables.values())))
    known |= _served(on, nights, versions, tables)
    values, scored = pool_values(stores, model, nights, members, known)
    _write(cache, known | scored)
    switch, dwell = model.decision.costs.of("retrain").total, max(1, model.retrain.cooldown.days)
    return {
        "pool": len(members),
        **_figures(on, members, values, switch, 1),
        "paced": _figures(on, members, values, switch, dwell),
    }


def _figures(on: Nights, members: list[Member], values: np.ndarray, switch: float, dwell: int) -> dict[str, Any]:
    best, rows = best_path(values, switch, dwell), float(on.rows.sum())
    return {
        "cost": -best.value,
        "gain": best.value - float(on.net(FLOOR).sum()) if FLOOR in on.value else None,
        "kpi_per_row": (best.value + switch * best.switches) / rows if rows else None,
        "switches": best.switches,
        "path": _stretches(best.versions, on.nights, members),
    }


def every_version(stores: Mapping[str, Stores], model: Model) -> list[Member]:
    """Every version of every policy, promoted or not, in the order of their trainings."""
    found = [
        Member(policy, v["version"], v["digest"], v["body"]["window"], _training(s, model.name, v))
        for policy, s in stores.items()
        for v in s.records.versions(model.name)
    ]
    return sorted(found, key=lambda m: (m.trained, m.policy, m.version))


def _training(stores: Stores, model: str, version: Mapping[str, Any]) -> str:
    """A digest of what a version was made from: two policies that train on the same evening make the same."""
    path = stores.package_folder(model, version["digest"]) / "tidegate" / "spec.json"
    if path.is_file():
        spec = json.loads(path.read_text())
    else:
        spec = stores.package(model, version["version"], version["digest"]).spec
    return json_digest({k: v for k, v in spec.items() if k not in ASIDE})


@dataclass(frozen=True, eq=False)
class _Rows:
    """The common outcomes by night: the night of each row, each night's rows and a digest of them, empty without."""

    names: tuple[str, ...]
    table: pa.Table
    at: np.ndarray
    parts: list[np.ndarray]
    digests: list[str]

    @classmethod
    def of(cls, on: Nights, table: pa.Table) -> _Rows:
        at = pc.index_in(table["window"], pa.array(list(on.nights))).to_numpy(zero_copy_only=False).astype(np.int64)
        order = np.argsort(at, kind="stable")
        edges = np.searchsorted(at[order], np.arange(len(on.nights) + 1))
        parts = [order[a:b] for a, b in pairwise(edges)]
        ids, labels = table["row_id"].to_numpy(zero_copy_only=False), table["label"].to_numpy()
        digests = [
            hashlib.sha256("\0".join(ids[p].tolist()).encode() + labels[p].tobytes()).hexdigest() if len(p) else ""
            for p in parts
        ]
        return cls(on.nights, table, at, parts, digests)


def _served(on: Nights, nights: _Rows, versions: list[Member], tables: Mapping[str, pa.Table]) -> Known:
    """What versions earned while they were in service, which need not be scored again."""
    training = {(m.policy, m.version): m.training for m in versions}
    out: Known = {}
    for policy, table in tables.items():
        version = table["version"].to_numpy()
        for i, rows in enumerate(nights.parts):
            if len(rows):
                key = (training[policy, int(version[rows[0]])], nights.names[i], nights.digests[i])
                out[key] = float(on.value[policy][i])
    return out


def pool_values(
    stores: Mapping[str, Stores], model: Model, nights: _Rows, members: list[Member], known: Known
) -> tuple[np.ndarray, Known]:
    """What each member earns on each night after its training, shape (nights, members), NaN before; what was new.

    A night without common rows is worth 0 to all. A member is scored on all the nights that are not known in one go.
    """
    values = np.full((len(nights.names), len(members)), np.nan)
    missing: dict[int, list[int]] = {}
    for column, member in enumerate(members):
        for i, name in enumerate(nights.names):
            if name > member.trained:
                key = (member.training, name, nights.digests[i])
                values[i, column] = known.get(key, np.nan) if nights.digests[i] else 0.0
                if np.isnan(values[i, column]):
                    missing.setdefault(column, []).append(i)
    new: Known = {}
    batches: pa.Table = _batches(next(iter(stores.values())), model, nights) if missing else None
    for column, unknown in missing.items():
        member, rows = members[column], np.concatenate([nights.parts[i] for i in unknown])
        package = stores[member.policy].package(model.name, member.version, member.digest)
        labels = nights.table["label"].to_numpy()[rows]
        earned = _earned(model, package, batches.take(pa.array(rows)), labels)
        sums = np.bincount(nights.at[rows], earned, minlength=len(nights.names))
        values[unknown, column] = sums[unknown]
        new |= {(member.training, nights.names[i], nights.digests[i]): float(sums[i]) for i in unknown}
    return values, new


def _batches(stores: Stores, model: Model, nights: _Rows) -> pa.Table:
    """The rows of the common outcomes as they came, in their order."""
    table = stores.data.read("batches", model.dataset, list(nights.names))
    return table.take(pc.index_in(nights.table["row_id"], table["row_id"].combine_chunks()))


def _earned(model: Model, package: Loaded, rows: pa.Table, labels: np.ndarray) -> np.ndarray:
    scores = package.scores(rows)
    predicted = scores
    if model.kind != "regression":
        predicted = scores.argmax(axis=1) if scores.ndim == 2 else scores >= cuts_of(package.spec, rows)
    return row_value(model, scores, predicted, labels)


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


def _read(cache: Path) -> Known:
    """What was scored before; a file that cannot be read is scored anew."""
    try:
        table = pq.read_table(cache, schema=CACHE)
    except (OSError, pa.ArrowException):
        return {}
    keys = zip(*(table[c].to_pylist() for c in ("training", "window", "of")), strict=True)
    return dict(zip(keys, table["value"].to_pylist(), strict=True))


def _write(cache: Path, known: Known) -> None:
    names = [{"training": t, "window": w, "of": o, "value": value} for (t, w, o), value in known.items()]
    part = cache.with_name(f"{cache.name}.{os.getpid()}-{uuid4().hex[:8]}.part")
    pq.write_table(pa.Table.from_pylist(names, schema=CACHE), part, write_page_checksum=True)
    part.replace(cache)
