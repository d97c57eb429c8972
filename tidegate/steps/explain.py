"""Explain: why a version answers a row as it does, and what a candidate's evidence says of its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.packages import Loaded
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.contract.single import parse_row, single
from tidegate.errors import StoreError, UsageError
from tidegate.explain.attribution import with_spread
from tidegate.explain.counterfactuals import counterfactuals, decided
from tidegate.explain.evidence import SIZES, Sizes, evidence_of_explanations, told
from tidegate.explain.neighbours import neighbours
from tidegate.gate.feasible import feasible_of
from tidegate.steps.outcomes import join
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores

REFERENCE = 50_000
"""Reference rows that are searched for neighbours, the newest nights first."""
BACKGROUND = 100
PERMUTATIONS = 5
NEIGHBOURS = 5
CHUNK = 31
"""Nights that are searched for a row at once."""


@dataclass(frozen=True)
class Explained:
    """A version's answer on one row, and why; plain values.

    ``score`` is of the positive class, for multiclass of the class that is answered, or the prediction; ``base`` the
    mean of the same over the background.
    """

    model: str
    version: int
    row_id: str | None
    window: str | None
    answer: Any
    score: float
    threshold: float | None
    base: float
    error: float
    background: int
    contributions: Sequence[dict[str, Any]] = field(default_factory=tuple)
    counterfactuals: Sequence[dict[str, Any]] = field(default_factory=tuple)
    neighbours: Sequence[dict[str, Any]] = field(default_factory=tuple)
    reference: int = 0


def version_of(stores: Stores, model: Model, version: int | None) -> tuple[int, Loaded]:
    """A version and its package; the champion by default.

    Raises
    ------
    UsageError
        If there is no champion, or no such version.
    """
    if version is None:
        champion = stores.champion(model.name)
        if champion is None:
            do = f"tidegate retrain {model.name}, or name a version with --version"
            raise UsageError(f"model {model.name}", "a champion", "none", do)
        return champion
    known = {v["version"]: v for v in stores.records.versions(model.name)}
    if version not in known:
        found = f"{version}; known are {', '.join(map(str, known)) or 'none'}"
        raise UsageError(f"model {model.name}", "a version", found, f"tidegate status {model.name}")
    return version, stores.package(model.name, version, known[version]["digest"])


def row_of(stores: Stores, model: Model, package: Loaded, text: str, window: str | None = None) -> pa.Table:
    """The row that a person named: by its id in the lake's batches, or as a JSON object.

    Returns
    -------
    Table of one row
        The package's features; with `row_id` and `window` if it is from the lake.

    Raises
    ------
    UsageError
        If there is no such row, or the values do not fit the contract.
    """
    dataset = stores.project.dataset(model.dataset)
    features = list(package.spec["features"])
    if lacking := [f for f in features if f not in dataset.columns]:
        raise UsageError(f"dataset {dataset.name}", f"columns {', '.join(lacking)}, which the version was trained on",
                         "none", "name a newer version with --version")  # fmt: skip
    if text.lstrip().startswith("{"):
        return single(parse_row(text), dataset, features)
    calendar = stores.project.calendar(dataset)
    wanted = None if window is None else [calendar.window(window).id]
    known = [s.window for s in stores.data.many("batches", dataset.name, wanted) if s.rows][::-1]
    for i in range(0, len(known), CHUNK):
        ids = stores.data.read("batches", dataset.name, known[i : i + CHUNK], columns=["row_id"])
        here = ids.filter(pc.equal(ids["row_id"], text))
        if here.num_rows:
            night = max(here["window"].to_pylist())
            rows = stores.data.read("batches", dataset.name, [night], columns=["row_id", *features])
            return rows.filter(pc.equal(rows["row_id"], text)).slice(0, 1)
    raise UsageError(f"row {text[:60]}", f"a row of dataset {dataset.name}", f"none in {len(known)} windows",
                     'name another id, or give the row itself: --row \'{"column": value, ...}\'')  # fmt: skip


def reference_of(stores: Stores, model: Model, package: Loaded) -> pa.Table:
    """The held-out rows of a version's training: its features with `row_id`, `window`, `label` and scores.

    At most 50,000 rows, of the newest nights.

    Raises
    ------
    StoreError
        If the lake has none of them any more.
    """
    outcomes = package.reference("outcomes")
    nights, counts = np.unique(np.array(outcomes["event_window"].to_pylist(), dtype=str), return_counts=True)
    enough = nights[::-1][: int((np.cumsum(counts[::-1]) < REFERENCE).sum()) + 1].tolist()
    features = list(package.spec["features"])
    rows = stores.data.read("batches", model.dataset, enough, columns=["row_id", *features])
    scores = [c for c in outcomes.column_names if c == "score" or c.startswith("score_")]
    rows = join(rows, outcomes.select(["row_id", "label"])) if rows.num_rows else rows
    if not rows.num_rows:
        raise StoreError(
            f"reference of {model.name}", f"the batches of {nights[0]}..{nights[-1]} in the lake", "none of their rows",
            f"tidegate ingest {model.dataset} --window {nights[-1]}",
        )  # fmt: skip
    at = {row: i for i, row in enumerate(outcomes["row_id"].to_pylist())}
    held = outcomes.select(scores).take(pa.array([at[r] for r in rows["row_id"].to_pylist()]))
    for name in scores:
        rows = rows.append_column(name, held[name])
    return rows


def explain(
    stores: Stores, model: Model, version: int, package: Loaded, row: pa.Table, *, most: int = 3, near: int = NEIGHBOURS
) -> Explained:
    """Contributions, counterfactuals and nearest reference rows of one row; the same again for the same row."""
    dataset, spec = stores.project.dataset(model.dataset), package.spec
    features, rng = list(spec["features"]), np.random.default_rng(spec["seed"])
    reference, asked = reference_of(stores, model, package), row.select(list(spec["features"]))
    drawn = np.sort(rng.permutation(reference.num_rows)[:BACKGROUND])
    background = reference.select(features).take(pa.array(drawn))
    found = with_spread(package.scores, asked, background, rng, permutations=PERMUTATIONS)
    place = int(decided(found.scores, spec["threshold"])[0]) if model.kind != "regression" else 0
    of = (0, slice(None), place) if found.values.ndim == 3 else (0, slice(None))
    values, spread = found.values[of], (np.zeros(len(features)) if found.spread is None else found.spread[of])
    base = float(found.base[place] if found.base.ndim else found.base)
    order = np.argsort(-np.abs(values), kind="stable")
    total = base + np.cumsum(values[order])
    cells = asked.to_pylist()[0]
    flips: list[dict[str, Any]] = []
    if model.kind != "regression":
        feasible = feasible_of(reference, dataset.columns, features)
        fixed = kept(model, dataset)
        flips = [
            told(c) | {"decision": _named(spec, c.decisions[0]), "other": _named(spec, c.decisions[1])}
            for c in counterfactuals(package.scores, asked, feasible, fixed, float(spec["threshold"]), rng, most=most)
        ]
    score = float(found.scores[0, place] if found.scores.ndim == 2 else found.scores[0])
    ids = {name: row[name][0].as_py() if name in row.column_names else None for name in ("row_id", "window")}
    return Explained(
        model=model.name,
        version=version,
        row_id=ids["row_id"],
        window=ids["window"],
        answer=score if model.kind == "regression" else _named(spec, place),
        score=score,
        threshold=float(spec["threshold"]) if model.kind == "binary" else None,
        base=base,
        error=found.error,
        background=len(drawn),
        contributions=[
            {"column": features[i], "value": cells[features[i]], "contribution": float(values[i]),
             "spread": float(spread[i]), "cumulative": float(total[k])}
            for k, i in enumerate(order.tolist())
        ],
        counterfactuals=flips,
        neighbours=_near(model, dataset, package, asked, reference, ids["row_id"], near),
        reference=reference.num_rows,
    )  # fmt: skip


def explanations(
    model: Model, dataset: Dataset, package: Loaded, rows: pa.Table, rng: np.random.Generator, *, sizes: Sizes = SIZES
) -> dict[str, Any]:
    """What the gate's evidence says of a candidate's reasons; see `evidence_of_explanations`.

    Parameters
    ----------
    rows : Table
        Labelled rows, best of nights that the candidate was not trained on: its features with `row_id`, `window`
        and `label`.
    """
    features = list(package.spec["features"])
    return evidence_of_explanations(
        package.scores,
        rows.select(features),
        np.asarray(rows["label"].to_numpy(zero_copy_only=False), dtype=np.float64),
        np.array(rows["window"].to_pylist(), dtype=str),
        np.array(rows["row_id"].to_pylist(), dtype=str),
        kind=model.kind,
        threshold=float(package.spec["threshold"]),
        feasible=feasible_of(rows, dataset.columns, features),
        immutable=kept(model, dataset),
        rng=rng,
        block=model.gate.block_nights,
        sizes=sizes,
    )


def kept(model: Model, dataset: Dataset) -> set[str]:
    """Columns that a counterfactual leaves alone: immutable ones, protected ones, and private ones.

    A private column would be changed to another person's value.
    """
    return {*model.gate.immutable, *model.protected, *private(dataset)}


def private(dataset: Dataset) -> set[str]:
    """Columns whose values are not kept as they are before they are logged."""
    return {name for name, column in dataset.columns.items() if column.privacy != "keep"}


def _named(spec: dict[str, Any], place: int) -> Any:
    return spec["classes"][place]


def _near(
    model: Model, dataset: Dataset, package: Loaded, row: pa.Table, reference: pa.Table, own: str | None, k: int
) -> list[dict[str, Any]]:
    """The nearest reference rows other than the row itself; of what is private, only how far it is."""
    hidden, classes = private(dataset), package.spec["classes"]
    if own is not None:
        reference = reference.filter(pc.not_equal(reference["row_id"], own))
    out = []
    for n in neighbours(row, reference, k):
        label = n.row["label"]
        scores = scores_of(reference.slice(n.place, 1))[0]
        out.append({
            "row_id": n.row["row_id"], "window": n.row["window"], "distance": n.distance,
            "label": label if model.kind == "regression" else classes[int(label)],
            "score": scores.tolist(),
            "row": {c: n.row[c] for c in row.column_names if c not in hidden},
            "apart": {c: d for c, d in sorted(n.apart.items(), key=lambda item: -item[1]) if d > 0},
        })  # fmt: skip
    return out
