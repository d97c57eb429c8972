"""Behavioural tests of a model on real rows that are changed on purpose.

After CheckList (Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with
CheckList", ACL 2020), for tables: a column that must not matter (invariance), one that may
move the score one way only (direction), cases that must be answered rightly (minimum
functionality), and a level that a metric must reach on a part of the held-out rows. Rows
are those of a fixed draw, so that a test says the same of the same model: a share of the
rows is compared with the limit as it is, and nothing is inferred about other rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.config.behaviour import Behaviour, Declared, Direction, Invariance, Minimum, Perturbed, Slice
from tidegate.config.dataset import Column
from tidegate.config.model import Model
from tidegate.config.values import Class
from tidegate.contract.conform import ARROW
from tidegate.errors import SourceError
from tidegate.gate.line import Check, Line, verdict_of
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import tally_of
from tidegate.verdicts import Outcome

Floats = NDArray[np.float64]
VALUES = 20
"""Observed values that an invariance test tries, at most."""
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Subject:
    """A model to be tested.

    Parameters
    ----------
    score : callable
        Rows to scores: shape (n,) for binary (of the positive class) and regression, (n, classes) else.
    columns : mapping of str to Column
        The contract.
    classes : sequence
        Classes in the order of the scores; of a binary model the positive one last.
    threshold : float
        Binary: the score from which the positive class is predicted.
    rows : pyarrow.Table
        Real rows: `row_id` and the dataset's columns.
    held : pyarrow.Table
        Labelled rows that the scores beside them are not trained on: the dataset's columns and `label`.
    held_scores : ndarray
        Of `held`, shaped as what `score` gives.
    """

    model: Model
    score: Callable[[pa.Table], Floats]
    columns: Mapping[str, Column]
    classes: Sequence[Class]
    threshold: float
    rows: pa.Table
    held: pa.Table
    held_scores: Floats

    def table_of_scores(self, rows: pa.Table) -> Floats:
        """Scores as a table, shape (n, classes), or (n, 1) for regression.

        Raises
        ------
        SourceError
            If the model does not answer one finite score for each row (and class).
        """
        found = np.asarray(self.score(rows), dtype=np.float64)
        if self.model.kind == "binary" and found.ndim == 1:
            found = np.column_stack([1 - found, found])
        elif found.ndim == 1:
            found = found[:, None]
        wanted = (rows.num_rows, len(self.classes) if self.model.kind != "regression" else 1)
        if found.shape != wanted or not np.isfinite(found).all():
            bad = f"{int((~np.isfinite(found)).sum())} not finite" if found.shape == wanted else f"shape {found.shape}"
            raise SourceError(f"model {self.model.name}", f"finite scores of shape {wanted}", bad, "mend the user code")
        return found

    def place(self, of: Class | None) -> int:
        """The column of `table_of_scores` that a test is about."""
        return self.classes.index(of) if of is not None else (1 if self.model.kind == "binary" else 0)


def sample(rows: pa.Table, n: int, rng: np.random.Generator) -> pa.Table:
    """At most `n` rows, drawn without replacement, in their order."""
    if rows.num_rows <= n:
        return rows
    return rows.take(pa.array(np.sort(rng.choice(rows.num_rows, n, replace=False))))


def judge_behaviour(behaviour: Behaviour, subject: Subject, rng: np.random.Generator) -> Check:
    """Every declared test, a line each; passes when all hold.

    A test that no or too few rows can answer is inconclusive, one that the model cannot answer
    (it raises, or its score is not finite) fails. A file without tests is not asked for anything.

    Examples
    --------
    >>> from datetime import timedelta
    >>> model = Model.model_validate({
    ...     "name": "m", "dataset": "d", "kind": "regression", "features": ["x"],
    ...     "label": {"column": "y", "source": {"files": "{date}.csv"}}, "metric": {"primary": "mae"}})
    >>> rows = pa.table({"row_id": ["a", "b"], "x": [1.0, 2.0]})
    >>> held = rows.append_column("label", pa.array([1.0, 2.0]))
    >>> subject = Subject(model, lambda t: -t["x"].to_numpy(), {"x": Column(type="number")}, (), 0.5, rows, held,
    ...                   np.array([1.0, 2.0]))
    >>> tests = Behaviour.model_validate({"min_rows": 1, "direction": [
    ...     {"name": "more is more", "column": "x", "by": 1, "expect": "not_lower"}]})
    >>> check = judge_behaviour(tests, subject, np.random.default_rng(0))
    >>> check.verdict.outcome, check.lines[0].n
    ('fail', 2)
    >>> check.lines[0].reason
    'more is more: 2 of 2 rows go down (0 allowed); worst: row a, x 1 → 2, score -1 → -2'
    """
    lines = [_line(test, behaviour, subject, rng) for test in behaviour.tests()]
    return Check("behaviour", verdict_of(lines), tuple(lines), n=subject.rows.num_rows, asked=bool(lines))


def _line(test: Declared, behaviour: Behaviour, subject: Subject, rng: np.random.Generator) -> Line:
    try:
        if isinstance(test, Invariance):
            return _invariance(test, behaviour, subject, rng)
        if isinstance(test, Direction):
            return _direction(test, behaviour, subject)
        if isinstance(test, Minimum):
            return _minimum(test, subject)
        assert isinstance(test, Slice)
        return _slice(test, subject)
    except SourceError as fault:
        return Line(test.name, "behaviour", "fail", math.nan, math.nan, f"{test.name}: {fault}")


def _invariance(test: Invariance, behaviour: Behaviour, subject: Subject, rng: np.random.Generator) -> Line:
    rows = _where(subject.rows, test.where)
    own = rows[test.column]
    if test.by is not None:
        changed = [_added(own, sign * test.by, subject.columns[test.column]) for sign in (1, -1)]
    else:
        observed = own.drop_null().unique().sort().to_pylist()
        if test.to is None and len(observed) > VALUES:
            observed = [observed[i] for i in np.sort(rng.choice(len(observed), VALUES, replace=False))]
        kind = ARROW[subject.columns[test.column].type]
        wanted = list(test.to) if test.to is not None else observed
        changed = [pa.chunked_array([pa.array([v] * rows.num_rows, kind)]) for v in wanted]
    return _judged(test, behaviour, subject, rows, own, changed, _apart)


def _direction(test: Direction, behaviour: Behaviour, subject: Subject) -> Line:
    rows = _where(subject.rows, test.where)
    own, at = rows[test.column], subject.place(test.of)
    kind = ARROW[subject.columns[test.column].type]
    if test.by is not None:
        changed = _added(own, test.by, subject.columns[test.column])
    else:
        changed = pa.chunked_array([pa.array([test.to] * rows.num_rows, kind)])
        if test.from_ is not None:
            own = pa.chunked_array([pa.array([test.from_] * rows.num_rows, kind)])
    sign = 1 if test.expect == "not_lower" else -1

    def against(before: Floats, after: Floats) -> tuple[Floats, Floats, Floats]:
        return sign * (before[:, at] - after[:, at]), before[:, at], after[:, at]

    return _judged(test, behaviour, subject, rows, own, [changed], against)


def _apart(before: Floats, after: Floats) -> tuple[Floats, Floats, Floats]:
    """How far each row's scores are apart, and the two scores of the class that moved most."""
    gap = np.abs(after - before)
    most = gap.argmax(axis=1) if gap.shape[1] != 2 else np.ones(len(gap), dtype=np.int64)
    each = np.arange(len(gap))
    return gap[each, most], before[each, most], after[each, most]


def _judged(
    test: Perturbed,
    behaviour: Behaviour,
    subject: Subject,
    rows: pa.Table,
    own: pa.ChunkedArray,
    changed: Sequence[pa.ChunkedArray],
    compare: Callable[[Floats, Floats], tuple[Floats, Floats, Floats]],
) -> Line:
    """A line from how much worse than allowed the worst change of each row is."""
    n = rows.num_rows
    worst, words = np.full(n, -np.inf), [""] * n
    base = rows.set_column(rows.column_names.index(test.column), test.column, own)
    before = subject.table_of_scores(base)
    for values in changed:
        differ = np.flatnonzero(_differ(own, values))
        if not len(differ):
            continue
        take = pa.array(differ)
        other = base.take(take).set_column(base.column_names.index(test.column), test.column, values.take(take))
        bad, old, new = compare(before[differ], subject.table_of_scores(other))
        for i in np.flatnonzero(bad > worst[differ]):
            row = int(differ[i])
            worst[row] = bad[i]
            change = f"{test.column} {_text(own[row].as_py())} → {_text(values[row].as_py())}"
            words[row] = f"row {str(rows['row_id'][row].as_py())[:8]}, {change}, score {old[i]:.4g} → {new[i]:.4g}"
    could = np.isfinite(worst)
    tested = int(could.sum())
    if tested < behaviour.min_rows:
        reason = f"{test.name}: {tested} rows could be changed, {behaviour.min_rows} needed"
        return Line(test.name, "behaviour", "inconclusive", math.nan, test.share, reason, n=tested)
    violate = could & (worst > test.tolerance + _ROUNDING)
    count, holds = int(violate.sum()), 1 - float(violate.sum()) / tested
    outcome: Outcome = "pass" if holds >= test.share - _ROUNDING else "fail"
    does = "change" if isinstance(test, Invariance) else "go down" if _upward(test) else "go up"
    beyond = f" by more than {test.tolerance:g}" if test.tolerance else ""
    allowed = math.floor((1 - test.share) * tested + 1e-9)
    reason = f"{test.name}: {count} of {tested} rows {does}{beyond} ({allowed} allowed)"
    if count:
        reason += f"; worst: {words[int(np.argmax(worst))]}"
    elif test.column not in subject.model.features:
        reason += f": {test.column} is no feature today"
    return Line(test.name, "behaviour", outcome, holds, test.share, reason, n=tested)


def _upward(test: Perturbed) -> bool:
    return isinstance(test, Direction) and test.expect == "not_lower"


def _minimum(test: Minimum, subject: Subject) -> Line:
    if not subject.rows.num_rows and not test.full:
        reason = f"{test.name}: no rows that a typical one could be made from"
        return Line(test.name, "behaviour", "inconclusive", math.nan, math.nan, reason)
    row = {} if test.full else typical(subject.rows.select(list(subject.model.features)))
    row |= {name: value for name, value in test.row.items() if name in subject.model.features}
    kinds = {name: ARROW[subject.columns[name].type] for name in row}
    case = pa.table({name: pa.array([row[name]], kinds[name]) for name in subject.model.features})
    scores = subject.table_of_scores(case)[0]
    value, told, faults = float(scores[subject.place(test.of)]), [], []
    if test.expect is not None:
        best = int(scores.argmax())
        if subject.model.kind == "binary":
            best = int(scores[1] >= subject.threshold)
        told.append(f"predicted {subject.classes[best]}")
        if subject.classes[best] != test.expect:
            faults.append(f"{test.expect} expected")
    faults += _out_of_bounds(value, test.at_least, test.at_most)
    told.append(f"score {value:.4g}")
    limit = next((v for v in (test.at_least, test.at_most) if v is not None), math.nan)
    reason = f"{test.name}: {', '.join([*told, *faults])}"
    return Line(test.name, "behaviour", "fail" if faults else "pass", value, limit, reason, n=1)


def _slice(test: Slice, subject: Subject) -> Line:
    keep = _mask(subject.held, test.where)
    n, limit = int(keep.sum()), next(v for v in (test.at_least, test.at_most) if v is not None)
    words = ", ".join(f"{k}={_text(v)}" for k, v in test.where.items())
    if n < test.rows:
        reason = f"{test.name}: {n} held-out rows with {words}, {test.rows} needed"
        return Line(test.name, "behaviour", "inconclusive", math.nan, limit, reason, n=n)
    label = subject.held["label"].to_numpy()[keep]
    tally = tally_of(subject.model, subject.held_scores[keep], label, subject.threshold)
    value = METRICS[subject.model.kind][test.metric](tally)
    told = f"{test.name}: {test.metric} {value:.4f} on {n} held-out rows with {words}"
    if not math.isfinite(value):
        reason = f"{test.name}: {test.metric} is not defined on {n} held-out rows with {words}"
        return Line(test.name, "behaviour", "inconclusive", value, limit, reason, n=n)
    faults = _out_of_bounds(value, test.at_least, test.at_most)
    return Line(test.name, "behaviour", "fail" if faults else "pass", value, limit, ", ".join([told, *faults]), n=n)


def typical(rows: pa.Table) -> dict[str, Any]:
    """One value for each column: of numbers and times the middle one observed, else the most frequent.

    Null where nothing was observed; of equally frequent values the first in order.

    Examples
    --------
    >>> typical(pa.table({"x": [3.0, None, 1.0, 9.0], "c": ["b", "a", "b", None]}))
    {'x': 3.0, 'c': 'b'}
    """
    out: dict[str, Any] = {}
    for name in rows.column_names:
        values = rows[name].drop_null()
        if not len(values):
            out[name] = None
        elif pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
            counts = {c["values"].as_py(): c["counts"].as_py() for c in values.value_counts()}
            out[name] = min(counts, key=lambda v: (-counts[v], v))
        else:
            out[name] = values.sort()[len(values) // 2].as_py() if len(values) % 2 else _lower_middle(values)
    return out


def _lower_middle(values: pa.ChunkedArray) -> Any:
    return values.sort()[len(values) // 2 - 1].as_py()


def _out_of_bounds(value: float, low: float | None, high: float | None) -> list[str]:
    out = [f"at least {low:g} expected"] if low is not None and value < low else []
    return out + ([f"at most {high:g} expected"] if high is not None and value > high else [])


def _where(rows: pa.Table, where: Mapping[str, Any]) -> pa.Table:
    return rows.filter(pa.array(_mask(rows, where)))


def _mask(rows: pa.Table, where: Mapping[str, Any]) -> NDArray[np.bool_]:
    keep = np.ones(rows.num_rows, dtype=bool)
    for name, value in where.items():
        if value is None:
            keep &= pc.is_null(rows[name]).to_numpy()
        else:
            same = pc.equal(rows[name], pa.scalar(value, rows[name].type))
            keep &= pc.fill_null(same, False).to_numpy()
    return keep


def _added(own: pa.ChunkedArray, by: float, column: Column) -> pa.ChunkedArray:
    """Numbers with `by` added, within the contract's bounds; nulls stay."""
    added = pc.add(own, pa.scalar(int(by) if column.type == "integer" else by, own.type))
    for limit, bound in ((column.min, pc.max_element_wise), (column.max, pc.min_element_wise)):
        if limit is not None:
            inside = math.ceil(limit) if column.type == "integer" and limit == column.min else limit
            added = bound(added, pa.scalar(int(inside) if column.type == "integer" else inside, own.type),
                          skip_nulls=False)  # fmt: skip
    return added


def _differ(own: pa.ChunkedArray, values: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Where a value was given that was not there; a null that came of a null is no change."""
    unlike = pc.fill_null(pc.not_equal(own, values), False).to_numpy()
    return np.asarray(unlike | (pc.is_null(own).to_numpy() != pc.is_null(values).to_numpy()))


def _text(value: object) -> str:
    return "null" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
