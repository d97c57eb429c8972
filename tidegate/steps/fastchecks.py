"""Fast checks of a package that was trained on a sample: does it answer, repeatably, and better than nothing?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.config.dataset import Column, Dataset
from tidegate.config.model import Model
from tidegate.contract.conform import ARROW
from tidegate.errors import SourceError
from tidegate.gate.checks import gain_of, superior
from tidegate.gate.leakage import leakage
from tidegate.gate.line import verdict_of
from tidegate.performance.blocks import cut
from tidegate.performance.constant import constant_scores
from tidegate.performance.tally import tally_of
from tidegate.steps.outcomes import tally_by
from tidegate.steps.score import scores_of
from tidegate.verdicts import Verdict

SAME = 1e-9
SINGLES = 32
MOST_WORDS = 160
NEVER_SEEN = "never seen before"

Cases = list[dict[str, Any]]


def in_range(model: Model, package: Loaded) -> Verdict:
    """Held-out scores are finite; probabilities are in [0, 1], of several classes with a sum of 1."""
    scores = scores_of(package.reference("outcomes"))
    if not len(scores):
        return Verdict("inconclusive", ("no held-out rows",))
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        return Verdict("fail", (f"{bad} of {scores.size} held-out scores are not finite",))
    low, high = float(scores.min()), float(scores.max())
    told = f"{len(scores)} held-out scores, {low:.4g} to {high:.4g}"
    if model.kind != "regression" and (low < 0 or high > 1):
        return Verdict("fail", (f"{told}: a probability is from 0 to 1",))
    if scores.ndim == 2 and np.abs(scores.sum(axis=1) - 1).max() > 1e-6:
        return Verdict("fail", (f"{told}: the probabilities of a row do not add up to 1",))
    return Verdict("pass", (told,))


def beats_dummy(model: Model, package: Loaded) -> Verdict:
    """Held-out loss against a constant prediction, the training's own mean: proven better, on blocks of nights."""
    outcomes = package.reference("outcomes")
    label, night = outcomes["label"].to_numpy(), np.array(outcomes["event_window"].to_pylist())
    constant = constant_scores(model, label)
    dummy = {n: tally_of(model, constant[night == n], label[night == n]) for n in sorted(set(night.tolist()))}
    ours = tally_by(model, outcomes, "event_window", float(package.spec["threshold"]))
    blocks = cut(sorted(ours), model.gate.block_nights)
    if len(blocks) < 3:
        return Verdict("inconclusive", (f"{len(blocks)} blocks of {model.gate.block_nights} nights, 3 needed",))
    metric = "mae" if model.kind == "regression" else "log_loss"
    check = superior(
        metric, gain_of(model.kind, metric, ours, dummy, blocks), model.gate.alpha, block=model.gate.block_nights,
        margin=model.gate.min_gain_over_dummy, against="a constant prediction",
    )  # fmt: skip
    return Verdict(check.outcome, (check.reason,))


def repeatable(first: Loaded, second: Loaded, rows: pa.Table) -> Verdict:
    """Two trainings with the same seed give the same scores, of the mean and out of fold."""
    pairs = [(first.scores(rows), second.scores(rows))]
    pairs.append((scores_of(first.reference("outcomes")), scores_of(second.reference("outcomes"))))
    apart = max((_apart(a, b) for a, b in pairs), default=0.0)
    told = f"two trainings with seed {first.spec['seed']} differ by at most {apart:.2g}"
    if apart <= SAME:
        return Verdict("pass", (told,))
    return Verdict("fail", (f"{told} ({SAME:g} allowed): hand params['random_state'] to everything that draws",))


def round_trip(package: Loaded) -> Verdict:
    """The package as it was written and read again, types from our own list, gives the training's own scores."""
    probe = package.reference("probe")
    expected = np.array(probe["expected"].to_pylist())
    apart = _apart(package.scores(probe), expected)
    told = f"{probe.num_rows} rows scored by the saved package differ by at most {apart:.2g}"
    return Verdict("pass" if apart <= SAME else "fail", (told,))


def single_rows(package: Loaded, rows: pa.Table) -> Verdict:
    """A row alone has the score that it has in a batch, and in a batch in another order."""
    few = rows.slice(0, SINGLES)
    batch = package.scores(few)
    alone = np.concatenate([package.scores(few.slice(i, 1)) for i in range(few.num_rows)])
    back = package.scores(few.take(pa.array(np.arange(few.num_rows)[::-1])))[::-1]
    apart = max(_apart(batch, alone), _apart(batch, back))
    told = f"{few.num_rows} rows scored alone, backwards and in a batch differ by at most {apart:.2g}"
    if apart <= SAME:
        return Verdict("pass", (told,))
    return Verdict("fail", (f"{told}: features must look at one row at a time",))


def empty_batch(package: Loaded, rows: pa.Table) -> Verdict:
    """No rows give no scores."""
    shape = package.scores(rows.slice(0, 0)).shape
    return Verdict("pass" if shape[0] == 0 else "fail", (f"no rows give scores of shape {shape}",))


def edge_cases(model: Model, columns: Mapping[str, Column]) -> dict[str, Cases]:
    """What the contract lets through and days rarely have: nulls, categories never seen, the contract's own bounds.

    A case is the values that all rows are given; a kind has none where the contract leaves none to try.
    """
    features = {name: columns[name] for name in model.features}
    nullable = [name for name, c in features.items() if c.nullable]
    nulls: Cases = [{name: None} for name in nullable]
    if len(nullable) > 1:
        nulls.append(dict.fromkeys(nullable))
    texts = [name for name, c in features.items() if c.type in ("category", "text") and not c.values]
    numbers = {name: c for name, c in features.items() if c.type in ("integer", "number")}
    bounds: Cases = [{name: v} for name, c in numbers.items() for v in (c.min, c.max) if v is not None]
    return {"nulls": nulls, "unseen categories": [{name: NEVER_SEEN} for name in texts], "extremes": bounds}


def answered(package: Loaded, rows: pa.Table, columns: Mapping[str, Column], cases: Cases) -> Verdict:
    """Whether rows that are given the values of each case have finite scores."""
    few = rows.slice(0, SINGLES)
    faults: dict[str, list[str]] = {}
    for given in cases:
        changed = few
        for name, value in given.items():
            kind = ARROW[columns[name].type]
            whole = pa.types.is_integer(kind) and isinstance(value, float)
            column = pa.array([int(value) if whole else value] * few.num_rows, kind)
            changed = changed.set_column(changed.column_names.index(name), name, column)
        try:
            package.scores(changed)
        except SourceError as fault:
            faults.setdefault(fault.found[:MOST_WORDS], []).append(_case(given))
    if faults:
        return Verdict("fail", tuple(f"{', '.join(which)}: {found}" for found, which in faults.items()))
    return Verdict("pass", (f"{len(cases)} cases of {few.num_rows} rows answered with finite scores",))


def _case(given: Mapping[str, Any]) -> str:
    if len(given) > 1:
        return f"{len(given)} columns at once"
    return ", ".join(
        f"{n}={'null' if v is None else f'{v:g}' if isinstance(v, float) else v}" for n, v in given.items()
    )


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a - b).max()) if a.size else 0.0


def no_leak(model: Model, dataset: Dataset, rows: pa.Table) -> Verdict:
    """No feature says the label by itself; see `tidegate.gate.leakage`."""
    label, night = rows["label"].to_numpy(), rows["window"].to_numpy(zero_copy_only=False)
    settings, column = model.gate.robustness, model.label.column
    return verdict_of(leakage(dataset, model.features, column, model.kind, rows, label, night, settings)[0])
