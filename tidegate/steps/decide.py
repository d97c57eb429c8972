"""Decide: gather the evidence on the evening of a window and choose an action."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from tidegate.adapters import ledger
from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.decide import ACTS, Standing, decide
from tidegate.decision.limits import Attempt, against
from tidegate.decision.options import without_nan
from tidegate.decision.reasons import judge_decay, judge_growth
from tidegate.decision.thresholds import FIXED
from tidegate.performance.blocks import blocks_of, cut
from tidegate.rollout.history import rollbacks
from tidegate.steps.freeze import frozen
from tidegate.steps.measure import judge_coverage, matured, nightly_tallies, package_blocks
from tidegate.steps.pins import plan_changes
from tidegate.steps.reconcile import reconcile
from tidegate.steps.stores import Stores
from tidegate.steps.thresholds import fixed_evidence
from tidegate.verdicts import Action, Decision, Option, Verdict
from tidegate.windows import Window

NIGHT = timedelta(days=1)
COSTLY = ("decay", "gap", "harm")
"""Evidence of money lost every night."""


def decide_window(stores: Stores, model: Model, window: Window, now: datetime) -> Decision:
    """The decision on one window; every decision is kept, what was weighed or acted on also in the ledger."""
    reconcile(stores, model, now)
    # What was decided on a window stays: an attempt since then would make it look needless.
    known = stores.records.verdict(model.name, "decision", window.id)
    stopped = frozen(stores, model, now)
    if known is not None and (known.numbers["action"] in ACTS or known.numbers.get("options")):
        with stores.control.write() as c:
            ledger.append_once(c, namespace=stores.namespace, owner=model.owner, model=model.name, kind="decision",
                               window=window.id, at=now, body=known.as_dict())  # fmt: skip
        if stopped and known.numbers["action"] in ACTS:
            return Decision(window.id, "nothing", stopped, {known.numbers["action"]: known.reasons[0]}, acts=False)
        acts = bool(known.numbers.get("acts", True))
        return Decision(window.id, known.numbers["action"], known.reasons[0], known.numbers["losing"], acts=acts)
    quality = stores.data_records.verdict(model.dataset, "quality", window.id)
    champion = stores.champion(model.name)
    labelled = labelled_nights(stores, model, window)
    standing = _standing(stores, model, window, champion, labelled, blocked=quality is None or not quality.passed,
                         frozen=stopped)  # fmt: skip
    evidence: dict[str, Verdict] = {}
    options: tuple[Option, ...] | None = None
    if champion is not None and not standing.blocked and standing.candidate is None:
        if model.retrain.policy == "evidence":
            evidence = _evidence(stores, model, champion, labelled, window)
            options = _options(stores, model, champion, sorted(labelled), standing, evidence, window, now)
        elif model.retrain.policy in FIXED:
            evidence = fixed_evidence(stores, model, champion, window, labelled)
    decision = decide(model, standing, evidence, options)
    _keep(stores, model, decision, now)
    return decision


def _keep(stores: Stores, model: Model, decision: Decision, now: datetime) -> None:
    numbers = {"action": decision.action, "losing": dict(decision.losing), **decision.numbers}
    numbers |= {"options": [without_nan(o) for o in decision.options], "acts": decision.acts}
    body = Verdict("pass", (decision.reason,), numbers)
    weighed = decision.action in ACTS or bool(decision.options)
    stores.records.put_verdict(
        model.name, "decision", decision.window, body, now, entry=model.owner if weighed else None
    )


def _options(
    stores: Stores,
    model: Model,
    champion: tuple[int, Loaded],
    nights: list[str],
    at: Standing,
    evidence: Mapping[str, Verdict],
    window: Window,
    now: datetime,
) -> tuple[Option, ...] | None:
    """What was weighed on this window; None where nothing is due, or nothing of it could be done.

    Due when `decision.look_every` is over; while something that costs money is proven, or something is proven that was
    not when options were weighed last, as soon as another block of nights is over.
    """
    able = [a for a in model.decision.actions if not against(model, a, at.attempts, at.window)]
    if not able:
        return None
    before = [w for w in stores.records.outcomes(model.name, "weighed") if w < window.id]
    proven = sorted(n for n, v in evidence.items() if v.outcome == "fail")
    last = stores.records.verdict(model.name, "weighed", before[-1]) if before else None
    news = set(proven) - set(last.numbers["proven"] if last else ())
    if at.next_weighing and at.window < at.next_weighing:
        since = at.window - date.fromisoformat(before[-1])
        urgent = news or set(proven) & set(COSTLY)
        if not urgent or since < model.gate.block_nights * NIGHT:
            return None
    from tidegate.steps.options import Weighing

    kept = model.model_copy(update={"decision": model.decision.model_copy(update={"actions": tuple(able)})})
    found = Weighing(stores, kept, champion, nights, window).options()
    stores.records.put_verdict(model.name, "weighed", window.id, Verdict("pass", (), {"proven": proven}), now)
    return found


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
    versions = stores.records.versions(model.name)
    waiting = [v for v in versions if v["status"] == "candidate"]
    through = champion[1].spec["trained"][-1] if champion else ""
    look = waiting[-1]["body"].get("next_look") if waiting else None
    weighed = [w for w in stores.records.outcomes(model.name, "weighed") if w < window.id]
    again = date.fromisoformat(weighed[-1]) + -(-model.decision.look_every // NIGHT) * NIGHT if weighed else None
    return Standing(
        window.date,
        champion[0] if champion else None,
        len(labelled),
        sum(n > through for n in labelled),
        attempts_of(stores, model),
        date.fromisoformat(look) if look else None,
        waiting[-1]["version"] if waiting else None,
        again,
        blocked,
        frozen,
    )


def attempts_of(stores: Stores, model: Model) -> tuple[Attempt, ...]:
    """Every attempt to change a model, oldest first: broken trainings, versions, returns to a former one."""
    broken = stores.records.verdicts(model.name, "attempt")
    out = [Attempt(date.fromisoformat(w), v.numbers.get("what", "retrain"), False) for w, v in broken.items()]
    for v in stores.records.versions(model.name):
        made: Action = (v["body"].get("adjusts") or {}).get("what", "retrain")
        promoted = True if "promoted" in v["body"] else None if v["status"] in ("candidate", "challenger") else False
        out.append(Attempt(date.fromisoformat(v["body"]["window"]), made, promoted))
    # The ledger has a rollback from the moment of the switch on, a version's status only after it.
    out += [Attempt(date.fromisoformat(w), "roll_back", True) for w in rollbacks(plan_changes(stores, model.name))]
    return tuple(sorted(out, key=lambda a: a.window))


def _evidence(
    stores: Stores, model: Model, champion: tuple[int, Loaded], labelled: dict[str, int], window: Window
) -> dict[str, Verdict]:
    """Why options are weighed: decay, a gap between estimate and truth, harm tonight, much more data."""
    # A candidate that did not pass has shown what its rows were worth: growth counts from it.
    learned = max(int(v["body"]["rows"]) for v in stores.records.versions(model.name))
    out = {"decay": decay(stores, model, champion, labelled)}
    for kind, night in (("gap", matured(stores, model, window)), ("harm", window)):
        found = stores.records.verdict(model.name, kind, night.id)
        if found is not None:
            out[kind] = Verdict(found.outcome, found.reasons)
    return out | {"more_data": judge_growth(model, learned, sum(labelled.values()))}


def decay(stores: Stores, model: Model, champion: tuple[int, Loaded], labelled: dict[str, int]) -> Verdict:
    """Has the champion got worse on the matured nights that it did not learn from?"""
    version, package = champion
    spec = package.spec
    unseen = [n for n in labelled if n > spec["trained"][-1]][-model.retrain.decay_nights :]
    tallies = nightly_tallies(stores, model, unseen, version)
    recent = blocks_of(tallies, cut(sorted(tallies), model.gate.block_nights))
    return judge_decay(model, package_blocks(package, model.model_dump_json()), recent)
