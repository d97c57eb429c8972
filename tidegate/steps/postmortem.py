"""The evidence of an incident, gathered for its postmortem."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from tidegate.alarms.incidents import Incident
from tidegate.alarms.postmortem import Evidence, postmortem
from tidegate.config.model import Model
from tidegate.errors import ConfigError
from tidegate.steps.alerts import outbox_of
from tidegate.steps.stores import Stores
from tidegate.steps.timeline import timeline_of
from tidegate.verdicts import Alarm


def draft(stores: Stores, number: int, now: datetime) -> str:
    """The draft of an incident's postmortem; raises `UsageError` if there is none of that number."""
    incident = stores.incidents.get(number)
    models = _models(stores, incident)
    nights = _nights(incident)
    scored = {m.name: stores.lake.many("inferences", m.name, nights) for m in models}
    happened = stores.incidents.history(number)
    raised = next((h.at for h in happened if h.event.what == "raised"), None)
    taken = next((h.at for h in happened if h.event.what in ("acknowledged", "snoozed", "closed")
                  and h.event.by != "tidegate"), None)  # fmt: skip
    told = [d.delivered_at for d in outbox_of(stores).listed(["delivered"], number) if d.delivered_at]
    return postmortem(
        Evidence(
            incident, _alarms(stores, number), timeline_of(stores, incident),
            nights=len({s.window for found in scored.values() for s in found}),
            rows=sum(s.rows for found in scored.values() for s in found),
            began=_ended(stores, models, incident.since), raised=raised, told=min(told, default=None), taken=taken,
            commands=_commands(incident, models), links=_links(stores, incident, models),
        ),
        now,
    )  # fmt: skip


def _models(stores: Stores, incident: Incident) -> list[Model]:
    out = []
    for name in [incident.name] if incident.scope == "model" else sorted(incident.quiet):
        try:
            out.append(stores.project.model(name))
        except ConfigError:
            continue
    return out


def _alarms(stores: Stores, number: int) -> list[Alarm]:
    folder = stores.home.root / "configs" / "models"
    names = sorted(p.stem for p in folder.glob("*.yaml"))
    found = [a for name in names for a in stores.records.alarms(name) if a.incident == number]
    return sorted(found, key=lambda a: a.window)


def _nights(incident: Incident) -> list[str]:
    start, end = date.fromisoformat(incident.since), date.fromisoformat(incident.last)
    return [(start + timedelta(days=k)).isoformat() for k in range((end - start).days + 1)]


def _ended(stores: Stores, models: list[Model], window: str) -> datetime | None:
    """When a window was over: nothing of it could be known before."""
    if not models:
        return None
    calendar = stores.project.calendar(stores.project.dataset(models[0].dataset))
    return calendar.window(window).end.astimezone(UTC)


def _commands(incident: Incident, models: list[Model]) -> list[str]:
    out = [f"tidegate incident show {incident.number}"]
    for m in models:
        out += [f"tidegate alarms {m.name} --all --since {incident.since}",
                f"tidegate findings {m.name} {incident.opened}", f"tidegate digests {m.name} {incident.opened}",
                f"tidegate lineage {m.name}"]  # fmt: skip
    if models:
        out.append(f"tidegate quarantine list {models[0].dataset} --window {incident.opened}")
    return out


def _links(stores: Stores, incident: Incident, models: list[Model]) -> list[tuple[str, str]]:
    out = [("Runbook", f"docs/runbooks/{incident.cause}.md")]
    page = stores.project.platform.alerts.link
    out += [("Pages", f"{page.rstrip('/')}/engineering.html")] if page else []
    for m in models:
        folder = stores.home.state / "reports" / m.name
        out += [("Drift report", p.relative_to(stores.home.root).as_posix())
                for p in sorted(folder.glob("*.html")) if incident.since <= p.stem[:10] <= incident.last]  # fmt: skip
    return out


__all__ = ["draft"]
