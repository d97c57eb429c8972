"""Harm by kind: what a change costs if the data is at fault, if the world's inputs moved, if the concept did.

- *fault*: the column is repaired and the night scored once more, `tidegate.decision.effect.effect_of_drift`.
- *covariate*: what the metric and the KPI come to on the reference's labelled out-of-fold rows once these are weighed
  to look like the window. "Not estimable" where too few of them do. It assumes that the same inputs lead to the same
  outcomes as ever.
- *concept*: from labels alone, when they have come.

Where the alarm's cause does not tell which it is, all that apply are told, and the largest that can be estimated
counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.decision.effect import PER_ROW, effect_of_loss, unit_of
from tidegate.drift.weights import Weights
from tidegate.performance.blocks import Estimate
from tidegate.performance.loss import row_loss
from tidegate.performance.metrics import METRICS
from tidegate.performance.soft import weighted_tally
from tidegate.performance.tally import Tally, total
from tidegate.verdicts import Cause, Effect

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

BINS = 20
"""Groups of rows of like score, each of which has an outcome of its own to be expected."""
FEWEST_BLOCKS = 5.0
"""Effective blocks of nights below which an expectation has no usable error."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows of the reference whose outcome is known, scored by members that had not seen them.

    ``scores``: (n,) or (n, classes); ``labels``: class positions or targets, (n,); ``threshold``: one or each row's;
    ``blocks``: the block of nights of each row, (n,).
    """

    scores: Floats
    labels: Floats
    threshold: float | Floats
    blocks: Index


@dataclass(frozen=True, slots=True)
class Harm:
    """What one signal's change costs, by every reasoning that applies.

    ``rows`` a night, ``nights`` over which a decision counts.
    """

    readings: tuple[Effect, ...]
    rows: float = math.nan
    nights: float = math.nan

    @property
    def effect(self) -> Effect:
        """The reading that counts, with the words of all: material before not, then the larger one."""
        known = [r for r in self.readings if r.estimable]
        first = max(known or self.readings, key=lambda r: (r.material, r.value if r.estimable else -math.inf))
        words = [self.words(first), *(r.words for r in self.readings if r is not first)]
        if len(known) > 1:
            words.append("which of these it is the data does not tell: the larger counts")
        return replace(first, words="; ".join(words), benign=all(r.benign for r in self.readings))

    def words(self, reading: Effect) -> str:
        """A reading's words with its bounds and what it comes to in a night and over the horizon."""
        if not reading.estimable or not reading.unit.endswith(PER_ROW) or math.isnan(reading.value):
            return reading.words
        told = reading.words
        if not math.isnan(reading.low):
            told += f", {reading.low:.3g} to {reading.high:.3g}"
        if reading.value > 0 and self.rows > 0:
            a_night = reading.value * self.rows
            unit = reading.unit.removesuffix(f" {PER_ROW}")
            told += f"; {a_night:,.0f} {unit} a night, {a_night * self.nights:,.0f} in {self.nights:.0f} nights"
        return told


def kinds_of(cause: Cause | str) -> tuple[str, ...]:
    """The kinds of harm that a suspected cause leaves open to what moved without labels.

    Features that drift may be the source's or the world's doing: inputs alone do not tell. Only what speaks of how data
    is made (missing values, unseen categories, many columns at once) is surely upstream.

    Examples
    --------
    >>> kinds_of("upstream"), kinds_of("population")
    (('fault',), ('fault', 'covariate'))
    """
    return ("fault",) if cause == "upstream" else ("fault", "covariate")


def not_estimable(model: Model, kind: str, reason: str) -> Effect:
    """A reading that says why nothing can be said."""
    about = {"fault": "if this is a fault", "covariate": "if the world's inputs moved", "concept": "by labels"}[kind]
    unit = f"{unit_of(model)} {PER_ROW}"
    return Effect(math.nan, unit, f"{about}: not estimable, {reason}", False, kind, estimable=False)  # type: ignore[arg-type]


def row_gain(model: Model, scores: Floats, labels: Floats, threshold: float | Floats) -> Floats:
    """What each row brought, shape (n,): its KPI, or without one its loss, less being more.

    Examples
    --------
    >>> labels = {"column": "y", "source": {"files": "y"}, "classes": [0, 1], "positive": 1}
    >>> body = {"name": "m", "dataset": "d", "kind": "binary", "features": ["x"], "label": labels}
    >>> model = Model.model_validate(body | {"kpi": {"true_positive": 5, "false_negative": -20}})
    >>> row_gain(model, np.array([0.9, 0.1, 0.1]), np.array([1.0, 1.0, 0.0]), 0.5).tolist()
    [5.0, -20.0, 0.0]
    """
    k = model.kpi
    if not k.priced:
        return -row_loss(model.kind, scores, labels)
    if model.kind == "regression":
        return np.asarray(k.per_unit_error * np.abs(scores - labels), dtype=np.float64)
    if model.kind == "multiclass":
        return np.where(scores.argmax(axis=1) == labels, k.correct, k.wrong).astype(np.float64)
    yes = np.where(labels == 1, k.true_positive, k.false_positive)
    no = np.where(labels == 1, k.false_negative, k.true_negative)
    return np.where(scores >= threshold, yes, no).astype(np.float64)


def covariate_effect(
    model: Model,
    known: Labelled,
    weights: Weights,
    scores: Floats,
    usual: float,
    least: float,
    confidence: float = 0.95,
) -> Effect:
    """What the window's inputs cost per row if inputs lead to the same outcomes as ever: usual − expected.

    What the model's scores explain is taken from the window itself (the mean outcome of reference rows of like
    score); the weighted reference carries the rest. Right if either is (Robins, Rotnitzky & Zhao 1994; Dudík,
    Langford & Li 2011), and less noisy than the weighted mean alone.

    Parameters
    ----------
    known : Labelled
        The reference's rows, in the order of the weights.
    scores : float array, shape (m,) or (m, classes)
        Of the window's rows, by members as those of the reference.
    usual, least : float
        As for `effect_of_drift`.
    confidence : float in (½, 1)
        Of the bounds, by the delete-one-block jackknife over the reference's nights with Student's t on the
        effective number of blocks, and the window's own rows.

    Returns
    -------
    Effect
        Material where it is at least `least` of the usual and surely above zero. Not estimable, with the reason, where
        `weights` say so, or where they rest on fewer than five effective blocks of nights.
    """
    if not weights.estimable:
        return not_estimable(model, "covariate", weights.reason)
    w, gain = weights.weight, row_gain(model, known.scores, known.labels, known.threshold)
    found = _expected(gain, w, _one(known.scores), _one(scores), known.blocks)
    if found.effective < FEWEST_BLOCKS:
        reason = f"the nights like it are {found.effective:.1f} effective blocks, {FEWEST_BLOCKS:.0f} are needed"
        return not_estimable(model, "covariate", reason)
    estimate = Estimate(found.harm, found.se, max(2, round(found.effective)))
    alpha = (1 - confidence) / 2
    low, high = estimate.lower(alpha), estimate.upper(alpha)
    unit, share = unit_of(model), found.harm / abs(usual) if usual else math.nan
    words = (
        f"if the world's inputs moved: {'a loss' if found.harm > 0 else 'a gain'} of {abs(found.harm):.3g} {unit} "
        f"{PER_ROW} ({abs(share):.1%} of the usual) is expected{_metric_words(model, known, w)}"
    )
    size = least * abs(usual)
    material = bool(usual) and found.harm >= size and low > 0
    benign = bool(usual) and high < size
    return Effect(found.harm, f"{unit} {PER_ROW}", words, material, "covariate", low, high, benign=benign)


def _metric_words(model: Model, known: Labelled, w: Floats) -> str:
    """The primary metric on the reference, and as it is expected on the window."""
    name = model.metric.primary
    if name == "kpi":
        return ""
    truth = known.labels
    if known.scores.ndim == 2:
        truth = np.eye(known.scores.shape[1])[known.labels.astype(np.int64)]
    before, after = (
        METRICS[model.kind][name](weighted_tally(model, known.scores, truth, known.threshold, weight))
        for weight in (None, w)
    )
    return f", {name} {before:.3f} to {after:.3f}"


@dataclass(frozen=True, slots=True)
class _Expected:
    harm: float
    se: float
    effective: float


def _expected(gain: Floats, w: Floats, seen: Floats, now: Floats, blocks: Index) -> _Expected:
    """Usual − expected gain, its error, and Kish's effective number of blocks."""
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, max(2, min(BINS, len(seen) // 100) + 1))[1:-1]))
    bins = len(edges) + 1
    at, there = np.searchsorted(edges, seen, side="right"), np.searchsorted(edges, now, side="right")
    share = np.bincount(there, minlength=bins) / len(now)
    of, count = np.unique(blocks, return_inverse=True)[1], len(np.unique(blocks))
    cell = of * bins + at

    def table(values: Floats) -> Floats:
        return np.bincount(cell, values, count * bins).reshape(count, bins).astype(np.float64)

    rows, gains, weight, weighed = table(np.ones(len(gain))), table(gain), table(w), table(w * gain)

    def harm(rows: Floats, gains: Floats, weight: Floats, weighed: Floats) -> Floats:
        """Of totals, shape (…, bins)."""
        usual = gains.sum(axis=-1) / rows.sum(axis=-1)
        mean = np.where(rows > 0, gains / np.maximum(rows, 1e-12), usual[..., None])
        rest = (weighed - weight * mean).sum(axis=-1) / weight.sum(axis=-1)
        return np.asarray(usual - mean @ share - rest)

    whole = [t.sum(axis=0) for t in (rows, gains, weight, weighed)]
    value = float(harm(*whole))
    per_block = weight.sum(axis=1)
    effective = float(per_block.sum() ** 2 / (per_block**2).sum())
    if count < 2:
        return _Expected(value, math.nan, effective)
    without = harm(*(s - t for s, t in zip(whole, (rows, gains, weight, weighed), strict=True)))
    variance = (count - 1) / count * float(((without - without.mean()) ** 2).sum())
    means = np.where(whole[0] > 0, whole[1] / np.maximum(whole[0], 1e-12), value)[there]
    return _Expected(value, math.sqrt(variance + float(means.var()) / len(now)), effective)


def _one(scores: Floats) -> Floats:
    """One number a row that orders them by what is to be expected: the score, or the highest class's."""
    return scores.max(axis=1) if scores.ndim == 2 else scores


def concept_effect(
    model: Model,
    recent: Sequence[Tally],
    reference: Sequence[Tally],
    usual: float,
    least: float,
    confidence: float = 0.95,
) -> Effect:
    """What came true on matured nights against the reference, bounded by how blocks of the reference's nights differ.

    Parameters
    ----------
    recent : sequence of Tally
        One a matured night; none is not estimable.
    reference : sequence of Tally
        One a block of `gate.block_nights` nights.
    """
    whole = total(list(recent))
    if not whole.n:
        return not_estimable(model, "concept", "before labels have come")
    name = "kpi" if model.kpi.priced else "mae" if model.kind == "regression" else "log_loss"
    metric = METRICS[model.kind][name]
    found = effect_of_loss(model, metric(whole), usual, least)
    levels = np.array([metric(t) for t in reference if t.n])
    if len(levels) < 2:
        return found
    # A block is several nights: fewer nights than that vary more.
    error = float(levels.std(ddof=1)) * math.sqrt(model.gate.block_nights / max(len(recent), 1) + 1 / len(levels))
    estimate = Estimate(found.value, error, len(levels))
    alpha = (1 - confidence) / 2
    return replace(found, low=estimate.lower(alpha), high=estimate.upper(alpha))
