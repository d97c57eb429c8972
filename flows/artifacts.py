"""Prefect artifacts: verdicts in markdown, findings as a table, drift reports as a link."""

from __future__ import annotations

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from flows.bodies import Night
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.gate.form import plain
from tidegate.steps.approval import Asked
from tidegate.steps.drift_report import DriftReport
from tidegate.steps.pages import Pages
from tidegate.verdicts import Verdict

MARK = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "❔ inconclusive"}


def _lines(verdict: Verdict) -> str:
    return "\n".join(f"- {plain(reason)}" for reason in verdict.reasons) or "- nothing to report"


def _key(name: str) -> str:
    return name.replace("_", "-")


def publish_quality(dataset: str, window: str, verdict: Verdict) -> None:
    create_markdown_artifact(
        f"# {dataset} {window}: {MARK[verdict.outcome]}\n\n{_lines(verdict)}\n",
        key=_key(f"quality-{dataset}"),
        description=f"Data quality of {window}",
    )


def publish_gate(model: str, window: str, version: int | None, verdict: Verdict | None, promoted: bool) -> None:
    if verdict is None:
        return
    after = "promoted" if promoted else "not promoted"
    create_markdown_artifact(
        f"# {model} version {version}: {MARK[verdict.outcome]}, {after}\n\n{_lines(verdict)}\n",
        key=_key(f"gate-{model}"),
        description=f"Gate on {window}",
    )


def publish_question(asked: Asked, text: str) -> None:
    """What a person is shown of a version that waits for an answer."""
    create_markdown_artifact(
        f"{text}\n{asked.words[0].upper()}{asked.words[1:]}\n",
        key=_key(f"approval-{asked.model}"),
        description=f"Version {asked.version} waits for approval",
    )


def publish_night(model: str, night: Night) -> None:
    """The night's verdict, and its alarms as a table."""
    publish_quality(model, night.window, night.quality)
    text = f"# {model} {night.window}: {night.decision.action}\n\n{plain(night.decision.reason)}\n\n"
    text += "\n".join(f"- *{plain(option)}* lost: {plain(why)}" for option, why in night.decision.losing.items())
    create_markdown_artifact(text, key=_key(f"decision-{model}"), description=f"Decision on {night.window}")
    rows = [
        {
            "severity": a.severity,
            "monitor": a.monitor,
            "subject": a.subject,
            "since": a.since,
            "what": a.text,
            "next": a.next_command,
        }
        for a in night.alarms
    ]
    create_table_artifact(rows, key=_key(f"alarms-{model}"), description=f"Alarms of {night.window}")
    publish_gate(model, night.window, night.version, night.gate, night.promoted)


def publish_pages(home: Home, made: Pages) -> None:
    """Links to the dashboards that `tidegate up` serves; as files they are below the state folder."""
    at = load_project(home).platform.operations
    host = f"[{at.host}]" if ":" in at.host else at.host
    for kind in ("engineering", "business"):
        create_link_artifact(
            f"http://{host}:{at.pages_port}/pages/{kind}.html",
            link_text=f"{kind} dashboard",
            key=f"{kind}-page",
            description=f"The {kind} dashboard, written to {getattr(made, kind).name}",
        )


def publish_report(drawn: DriftReport) -> None:
    """A link to the page that MLflow keeps, with what it says in a line."""
    say = f"{len(drawn.drifted)} of {len(drawn.compared)} comparisons above their limit"
    create_link_artifact(
        drawn.uri,
        link_text=f"{drawn.model} {drawn.window}: {say}",
        key=_key(f"drift-report-{drawn.model}"),
        description=f"Drift report of {drawn.window} against version {drawn.version}",
    )
