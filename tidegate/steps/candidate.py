"""The life of a candidate: trained and registered, looked at, passed on or closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tidegate.adapters.mlflowevaluate import evaluate
from tidegate.adapters.registry import KNOWN_AT, RECORD, Registry
from tidegate.config.deciding import Costed
from tidegate.config.model import Model
from tidegate.decision.thresholds import UNGATED
from tidegate.errors import SourceError
from tidegate.gate.evidence import evidence_digest
from tidegate.gate.evidence import metrics as gate_metrics
from tidegate.gate.evidence import tags as gate_tags
from tidegate.gate.line import SHOWN
from tidegate.lineage.digest import json_digest, plain
from tidegate.performance.metrics import metrics
from tidegate.performance.tally import total
from tidegate.report.gatepage import gate_page
from tidegate.report.modelcard import model_card, short_card
from tidegate.steps.case import Case
from tidegate.steps.gate import Gated, gate
from tidegate.steps.measure import reference_blocks
from tidegate.steps.reconcile import adjustment_entry
from tidegate.steps.retrain import build_candidate
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
from tidegate.windows import Window


def train_and_register(stores: Stores, model: Model, window: Window, now: datetime, *, reason: str) -> int:
    """Train a candidate and register it with its lineage; returns the version."""
    folder, digest = build_candidate(stores, model, window, now)
    return register(stores, model, folder, digest, window, now, reason=reason)


def register(
    stores: Stores,
    model: Model,
    folder: Path,
    digest: str,
    window: Window,
    now: datetime,
    *,
    reason: str,
    more: dict[str, Any] | None = None,
) -> int:
    """Register a package as a candidate that waits for its first look; `more` goes into its record."""
    package = stores.package(model.name, 0, digest)
    spec, outcomes = package.spec, package.reference("outcomes")
    held_out = metrics(model.kind, total(reference_blocks(model, outcomes, cuts_of(spec, outcomes))))
    tags = {
        "tidegate.model": model.name,
        "tidegate.reason": reason,
        "tidegate.window": window.id,
        "tidegate.package": digest,
        "tidegate.windows": f"{spec['trained'][0]}..{spec['trained'][-1]}",
        "tidegate.batches": json_digest(spec["batches"]),
        "tidegate.labels": json_digest(spec["labels"]),
        "tidegate.config": spec["config"]["model"],
        "tidegate.user_code": spec["user"]["digest"],
        "tidegate.revision": str(spec["code"]["revision"]),
        "tidegate.lock": str(spec["lock"]),
        KNOWN_AT: now.isoformat(),
    }
    if more and "adjusts" in more:
        tags["tidegate.adjusts"] = f"version {more['adjusts']['version']}: {more['adjusts']['what']}"
    body = {
        "window": window.id,
        "reason": reason,
        "trained_through": spec["trained"][-1],
        # Growth counts from what was known, not from the part of it that was worth learning.
        "rows": (spec.get("training_set") or {}).get("known_rows", spec["rows"]),
        "held_out": held_out,
        "looks": [],
        **(more or {}),
    }
    version, run_id = Registry(stores.home.state).register(
        model.name,
        folder,
        params={
            **spec["params"],
            "seed": spec["seed"],
            "rows": spec["rows"],
            "nights": len(spec["trained"]),
            "threshold": spec["threshold"],
        },
        metrics={f"held_out_{k}": v for k, v in held_out.items()},
        tags=tags,
        # The record goes with the run: a kill before control has it leaves what it takes to finish.
        evidence={"spec.json": spec, RECORD: plain(body)},
    )
    stores.records.put_version(
        model.name,
        version,
        owner=model.owner,
        digest=digest,
        status="candidate",
        known_at=now,
        body={**body, "run_id": run_id},
        entry=adjustment_entry(version, digest, body),
    )
    return version


def turn(stores: Stores, model: str, window: str, *, again: bool, what: str = "") -> tuple[int | None, str]:
    """Whose turn it is on a window: the version to look at (None: make one), and why nothing is to be done.

    With `again` it is the version whose look is this window's: the one that had it, else the candidate that waits.
    `what` names the adjustment that is asked for; without it a training is.
    """
    known = stores.records.versions(model)
    mine = [v for v in known if (v["body"].get("adjusts") or {}).get("what", "") == what]
    found = _due(known, window) if again else next((v for v in mine if v["body"]["window"] == window), None)
    if found is None:
        return None, f"no candidate is due for a look on {window}" if again else ""
    if found["status"] not in ("candidate", "challenger"):
        made = f"made by {what}" if what else "trained"
        return found["version"], f"version {found['version']} was already {made} on {window} and is {found['status']}"
    return found["version"], ""


def _due(known: list[dict[str, Any]], window: str) -> dict[str, Any] | None:
    had = [v for v in known if window in [look["window"] for look in v["body"]["looks"]]]
    later = [v for v in had if v["body"]["looks"][0]["window"] != window]
    waits = [v for v in known if v["status"] == "candidate"]
    due = [v for v in waits if v["body"]["window"] <= window >= (v["body"].get("next_look") or "")]
    return next(iter((*later, *reversed(due), *had)), None)


def training_failed(
    stores: Stores, model: Model, window: str, fault: SourceError, now: datetime, what: Costed = "retrain"
) -> Verdict:
    """What a training or fit that the user's code or data broke off comes to: kept, so that the cooldown counts it."""
    verdict = Verdict("fail", (str(fault),), {"what": what})
    stores.records.put_verdict(model.name, "attempt", window, verdict, now)
    return verdict


def look_at(stores: Stores, model: Model, version: int, window: Window, now: datetime) -> Verdict:
    """One look at a candidate: passed → challenger, failed or out of looks → rejected, else it waits.

    The evidence (`gate_<look>.json`, a page, a model card) is logged to its run, its numbers to the logged model, its
    outcomes to the version. A look that a kill or an outage cut short is taken again on its own evening: on later
    nights it would be another one. In a replay, whose home shares its ingest, the policies that only serve for
    comparison promote a champion's successor without a gate, and say so. An adjustment (`tidegate.steps.adjust`) has
    one look.
    """
    record = next(v for v in stores.records.versions(model.name) if v["version"] == version)
    once = bool(record["body"].get("adjusts"))
    if once:
        model = judged_once(model)
    looks: list[dict[str, Any]] = list(record["body"]["looks"])
    done = next((v for v in looks if v["window"] == window.id), None)
    if done:
        return Verdict(done["outcome"], tuple(done["reasons"]))
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    paid = [k.window for k in stores.looks.of(model.name) if (k.version, k.look) == (version, len(looks) + 1)]
    window = calendar.window(paid[0]) if paid else window
    against, replayed = stores.plans.get(model.name).champion, stores.home.state != stores.home.shared
    look: dict[str, Any] = {"window": window.id, "against": against}
    if model.retrain.policy in UNGATED and replayed and against is not None:
        verdict = Verdict("pass", (f"policy {model.retrain.policy} promotes without a gate",))
    else:
        package, champion = stores.package(model.name, version, record["digest"]), stores.champion(model.name)
        found = gate(Case(stores, model, version, package, champion, window, len(looks) + 1), now)
        verdict = found.verdict
        look |= _summary(found)
        if once and verdict.outcome == "inconclusive":
            verdict = replace(verdict, reasons=(*verdict.reasons, STALE))
        _publish(stores, model, record, found, len(looks) + 1)
    looks.append(look | {"outcome": verdict.outcome, "reasons": list(verdict.reasons)})
    last = verdict.outcome == "inconclusive" and len(looks) >= model.gate.looks
    status = "challenger" if verdict.passed else "rejected" if verdict.outcome == "fail" or last else "candidate"
    next_look = calendar.shift(window, model.gate.look_every.days).id if status == "candidate" else None
    stores.records.set_status(model.name, version, status, looks=looks, next_look=next_look)
    return verdict


STALE = "closed after its one look: by the next, an adjustment fitted on newer nights would be the better one"


def judged_once(model: Model) -> Model:
    """The model's settings for a candidate that has one look: it may spend the whole error of an attempt on it."""
    return model.model_copy(update={"gate": model.gate.model_copy(update={"looks": 1})})


COVERS = {"robustness": ("robustness", "leakage", "poisoning"), "servability": ("servability", "digests")}


def _summary(found: Gated) -> dict[str, Any]:
    """What control keeps of a look: each check's outcome, and what kinds of line did not pass."""
    open_roles: set[str] = set()
    for check in found.checks:
        if check.asked and not check.verdict.passed:
            roles = {line.role for line in check.lines if line.outcome != "pass" and line.role not in SHOWN}
            # A check that could not be made has shown nothing of what it covers.
            open_roles |= roles or set(COVERS.get(check.name, (check.name,)))
    return {
        "checks": {c.name: c.verdict.outcome if c.asked else "not asked" for c in found.checks},
        "failed_roles": sorted(open_roles),
        "evidence": evidence_digest(found.document),
    }


def _publish(stores: Stores, model: Model, record: dict[str, Any], found: Gated, look: int) -> None:
    """The evidence into the registry: files, the logged model's metrics, the version's tags and description."""
    document, registry, run_id = found.document, Registry(stores.home.state), record["body"]["run_id"]
    files: dict[str, dict[str, Any] | str] = {
        f"gate_{look}.json": dict(document),
        f"gate_{look}.html": gate_page(document),
        "model_card.md": model_card(document),
    }
    registry.publish(
        model.name,
        record["version"],
        run_id,
        files=files,
        metrics=gate_metrics(document),
        tags=gate_tags(document),
        description=short_card(document),
    )
    if found.judged is not None:
        nights = found.judged.nights()
        evaluate(
            registry.client,
            run_id,
            registry.logged_model(model.name, record["version"]),
            found.judged,
            kind=model.kind,
            classes=model.label.classes or (),
            name=f"{model.name} hold-out, {nights[0]}..{nights[-1]}",
        )
