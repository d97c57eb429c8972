"""Decide: gather the evidence on the evening of a window and choose an action."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime

from tidegate.adapters import ledger
from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.decide import Standing, decide
from tidegate.decision.reasons import judge_decay, judge_growth
from tidegate.decision.thresholds import FIXED
from tidegate.performance.blocks import blocks_of, cut
from tidegate.steps.freeze import frozen
from tidegate.steps.measure import judge_coverage, matured, nightly_tallies, package_blocks
from tidegate.steps.promote import reconcile
from tidegate.steps.stores import Stores
from tidegate.steps.thresholds import fixed_evidence
from tidegate.verdicts import Decision, Verdict
from tidegate.windows import Window

ACTS = ("retrain", "regate")


def decide_window(stores: Stores, model: Model, window: Window, now: datetime) -> Decision:
    """The decision on one window; every decision is kept, actions also in the ledger."""
    reconcile(stores, model)
    # What was decided on a window stays: an attempt since then would make it look needless.
    known = stores.records.verdict(model.name, "decision", window.id)
    stopped = frozen(stores, model, now)
    if known is not None and known.numbers["action"] in ACTS:
        if stopped:
            return Decision(window.id, "nothing", stopped, {known.numbers["action"]: known.reasons[0]})
        return Decision(window.id, known.numbers["action"], known.reasons[0], known.numbers["losing"])
    quality = stores.data_records.verdict(model.dataset, "quality", window.id)
    champion = stores.champion(model.name)
    labelled = labelled_nights(stores, model, window)
    standing = _standing(stores, model, window, champion, labelled, blocked=quality is None or not quality.passed,
                         frozen=stopped)  # fmt: skip
    evidence: dict[str, Verdict] = {}
    if champion is not None and not standing.blocked and standing.candidate is None:
        if model.retrain.policy == "evidence":
            evidence = _evidence(stores, model, champion, labelled)
        elif model.retrain.policy in FIXED:
            evidence = fixed_evidence(stores, model, champion, window, labelled)
    decision = decide(model, standing, evidence)
    body = Verdict(
        "pass", (decision.reason,), {"action": decision.action, "losing": dict(decision.losing), **decision.numbers}
    )
    if stores.records.put_verdict(model.name, "decision", window.id, body, now) and decision.action in (
        "retrain",
        "regate",
    ):
        with stores.control.write() as c:
            ledger.append(
                c,
                namespace=stores.namespace,
                owner=model.owner,
                model=model.name,
                kind="decision",
                window=window.id,
                at=now,
                body=body.as_dict(),
            )
    return decision


def labelled_nights(stores: Stores, model: Model, window: Window) -> dict[str, int]:
    """Matured windows with a good batch and labels known by now for enough of its rows, to their labels.

    Of a night that was scored the measured coverage counts; of one before the first model, its
    labels against the rows of its batch.
    """
    event = matured(stores, model, window)
    good = {s.window: s.rows for s in stores.data.many("batches", model.dataset) if s.window <= event.id}
    measured = stores.records.outcomes(model.name, "coverage")
    quality = stores.data_records.outcomes(model.dataset, "quality")
    arrivals = [s for s in stores.lake.many("labels", model.name) if s.window <= window.id]
    if model.label.arrived_at:
        known = stores.lake.read("labels", model.name, [s.window for s in arrivals], columns=["row_id", "event_window"])
        counts = Counter(known.group_by(["row_id", "event_window"]).aggregate([])["event_window"].to_pylist())
    else:
        counts = Counter({s.window: s.rows for s in arrivals})
    delay = window.date - event.date
    out = {}
    for night in sorted(good):
        arrived = (date.fromisoformat(night) + delay).isoformat()
        rows = counts[night if model.label.arrived_at else arrived]
        covered = measured.get(night) or judge_coverage(model, rows, good[night]).outcome
        if rows and quality[night] == covered == "pass":
            out[night] = rows
    return out


def _standing(
    stores: Stores,
    model: Model,
    window: Window,
    champion: tuple[int, Loaded] | None,
    labelled: dict[str, int],
    *,
    blocked: bool,
    frozen: str,
) -> Standing:
    versions, broken = stores.records.versions(model.name), stores.records.outcomes(model.name, "attempt")
    waiting = [v for v in versions if v["status"] == "candidate"]
    through = champion[1].spec["trained"][-1] if champion else ""
    next_look = (
        date.fromisoformat(waiting[-1]["body"]["next_look"])
        if waiting and waiting[-1]["body"].get("next_look")
        else None
    )
    return Standing(
        window.date,
        champion[0] if champion else None,
        len(labelled),
        sum(n > through for n in labelled),
        tuple(map(date.fromisoformat, (*broken, *(v["body"]["window"] for v in versions)))),
        next_look,
        waiting[-1]["version"] if waiting else None,
        blocked,
        frozen,
    )


def _evidence(
    stores: Stores, model: Model, champion: tuple[int, Loaded], labelled: dict[str, int]
) -> dict[str, Verdict]:
    # A candidate that did not pass has shown what its rows were worth: growth counts from it.
    learned = max(int(v["body"]["rows"]) for v in stores.records.versions(model.name))
    return {
        "decay": decay(stores, model, champion, labelled),
        "more_data": judge_growth(model, learned, sum(labelled.values())),
    }


def decay(stores: Stores, model: Model, champion: tuple[int, Loaded], labelled: dict[str, int]) -> Verdict:
    """Has the champion got worse on the matured nights that it did not learn from?"""
    version, package = champion
    spec = package.spec
    unseen = [n for n in labelled if n > spec["trained"][-1]][-model.retrain.decay_nights :]
    tallies = nightly_tallies(stores, model, unseen, version)
    recent = blocks_of(tallies, cut(sorted(tallies), model.gate.block_nights))
    return judge_decay(model, package_blocks(package, model.model_dump_json()), recent)
