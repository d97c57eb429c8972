"""Which nights a candidate learns from: the declared training sets, tried on the newest nights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.config.model import Model
from tidegate.performance.tally import Tally
from tidegate.steps.outcomes import join, labels_of, tally_by
from tidegate.steps.score import score_columns
from tidegate.steps.stores import Stores
from tidegate.training.members import fitted, folds
from tidegate.training.scoring import design, score
from tidegate.training.thresholds import crossfit
from tidegate.training.windows import TrainingSet, choose_set, training_sets
from tidegate.windows import Window

UserCode = tuple[dict[str, Any], Callable[..., Any], Callable[..., Any] | None]
"""What is to be trained, and the user's `build` and `features`."""


@dataclass(frozen=True)
class Chosen:
    """The nights to train on, and what the package's record says of the choice; nothing where none was asked for."""

    nights: list[str]
    record: dict[str, Any]


def choose_training_set(
    stores: Stores, model: Model, window: Window, labelled: Mapping[str, int], code: Callable[[], UserCode]
) -> Chosen:
    """The training set of a candidate on the evening of `window`.

    Declared as all history alone, that is what it is, and nothing is tried. Else each set, cut `decision.nights` before
    the end, trains one estimator, which is scored on the nights after.

    Parameters
    ----------
    labelled : mapping of str to int
        The matured nights and their labels.
    code : callable
        Gives the user's code; called only when something is tried.
    """
    nights = sorted(labelled)
    if tuple(model.retrain.windows) == ("all",):
        return Chosen(nights, {})
    unclean = {s.window for s in stores.data.many("quarantine", model.dataset, nights) if s.rows}
    now = _sets(model, nights, unclean)
    before, held = nights[: -model.decision.nights], nights[-model.decision.nights :]
    past = {s.name: s for s in _sets(model, before, unclean)}
    tested: dict[str, Mapping[str, Tally] | str] = {}
    wanted = [s.name for s in now[1:] if not s.why and not past[s.name].why]
    if len(before) < model.retrain.first_nights:
        short = f"{len(before)} nights before the {len(held)} held out, {model.retrain.first_nights} needed"
        tested["all"] = f"no set could be tested: {short}"
    elif wanted:
        tested = _forward(stores, model, window, {n: past[n] for n in ("all", *wanted)}, held, code)
    # What could not be cut says so; what is not available now has its own reason.
    tested |= {n: f"{n}: on the nights before those held out {s.why}" for n, s in past.items() if s.why}
    choice = choose_set(model, now, tested, held)
    chosen = next(s for s in now if s.name == choice.name)
    return Chosen(list(chosen.nights), {"training_set": choice.as_spec(sum(labelled.values()))})


def _sets(model: Model, nights: list[str], unclean: set[str]) -> list[TrainingSet]:
    retrain = model.retrain
    return training_sets(retrain.windows, nights, unclean, recent=retrain.recent_nights, least=retrain.first_nights)


def _forward(
    stores: Stores,
    model: Model,
    window: Window,
    past: Mapping[str, TrainingSet],
    held: list[str],
    code: Callable[[], UserCode],
) -> dict[str, Mapping[str, Tally] | str]:
    """A tally of each held night under an estimator of each set; why, where a set cannot train one."""
    nights = sorted({*past["all"].nights, *held})
    rows = join(stores.data.read("batches", model.dataset, nights), labels_of(stores, model, nights, window))
    spec, build, features = code()
    frame, label = design(rows, spec, features), rows["label"].to_numpy()
    target = label if model.kind == "regression" else label.astype(int)
    late = pc.is_in(rows["window"], pa.array(held)).to_numpy(zero_copy_only=False)
    fold_of = folds(held, model.gate.block_nights)
    fold = np.array([fold_of[n] for n in rows["window"].filter(pa.array(late)).to_pylist()], dtype=np.int64)
    out: dict[str, Mapping[str, Tally] | str] = {}
    for name, s in past.items():
        mine = pc.is_in(rows["window"], pa.array(s.nights)).to_numpy(zero_copy_only=False)
        if model.kind != "regression" and (classes := len(np.unique(target[mine]))) < len(spec["classes"]):
            out[name] = f"{name}: rows of {classes} of {len(spec['classes'])} classes"
            continue
        params = {**spec["params"], "random_state": spec["seed"]}
        scores = score(fitted(build, params, frame[mine], target[mine], spec), frame[late], spec)
        table = pa.table({"window": rows["window"].filter(pa.array(late)), "label": label[late],
                          **score_columns(model, scores)})  # fmt: skip
        cuts = crossfit(model, scores, label[late], None, fold, "") if model.kind == "binary" else 0.5
        out[name] = tally_by(model, table, "window", cuts)
    return out
