"""`tidegate ci`: what a pull request that touches a model must show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.output import Json, Model, home_of, json_text, show
from tidegate.errors import StoreError
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.steps.cirun import Run

MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


def ci(
    ctx: typer.Context,
    model: Model,
    window: Annotated[
        list[str] | None,
        typer.Option("--window", help="Date whose data are judged, YYYY-MM-DD; again for more. Else the newest there."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="Rows to train on, of the newest labelled nights.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draw of rows.")] = 0,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here, too.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the JSON here, too.")] = None,
    as_json: Json = False,
) -> None:
    """Validate, judge a sample of the data, train on it, test the behaviour; writes nothing to the home."""
    from tidegate.clock import now
    from tidegate.steps.ci import run_ci

    run = run_ci(home_of(ctx), model, now=now(), windows=window or (), rows=rows, seed=seed)
    if junit is not None:
        _write("--junit", junit, _xml(run))
    if out is not None:
        _write("--out", out, json_text(run.as_dict()) + "\n")
    if as_json:
        typer.echo(json_text(run.as_dict()))
    else:
        show(_rows(run), False)
        typer.echo(_last_line(run))
    raise typer.Exit(run.code)


def _rows(run: Run) -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    for step in run.steps:
        mark = MARKS[step.outcome] if step.asked else "–"
        reason = f"{len(step.lines)} tests" if step.lines else "\n".join(map(printable, step.reasons))
        out.append({"": mark, "step": step.name, "seconds": f"{step.seconds:.1f}", "reason": reason})
        out += [{"": MARKS[line.outcome], "step": "", "seconds": "", "reason": line.reason} for line in step.lines]
    return out


def _last_line(run: Run) -> str:
    verdict = run.verdict
    seconds = sum(s.seconds for s in run.steps)
    told = f"ci of {run.model}: {verdict.outcome}, {len(run.steps)} steps in {seconds:.0f} s"
    return told if verdict.passed else f"{told}; {printable(verdict.reasons[0])}. Next: {printable(run.next)}"


def _xml(run: Run) -> str:
    from tidegate.report.junit import Case, junit

    cases = []
    for step in run.steps:
        cases.append(Case(step.name, step.outcome, step.seconds, "; ".join(step.reasons), step.asked))
        cases += [Case(f"{step.name}: {line.name}", line.outcome, 0.0, line.reason) for line in step.lines]
    return junit(f"tidegate ci {run.model}", cases)


def _write(option: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as fault:
        found = fault.strerror or str(fault)
        raise StoreError(f"{option} {path}", "a file that can be written", found, "name another") from None


def add_to(app: typer.Typer) -> None:
    app.command()(ci)
