"""Verbs about performance without labels: `estimates`, `labels`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tidegate.cli.output import EXIT, Json, Model, home_of, json_text, show
from tidegate.cli.run import day
from tidegate.errors import UsageError

First = Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD; else 30 nights back.")]
Last = Annotated[str | None, typer.Option("--to", help="Last date; else the last that was scored.")]


def estimates(ctx: typer.Context, model: Model, first: First = None, last: Last = None, as_json: Json = False) -> None:
    """What performance is expected of nights without labels, and what came of it: estimates, never proof."""
    from tidegate.steps.estimates import estimated
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    settings = stores.project.model(model)
    start, end = day(first, "--from"), day(last, "--to")
    if start and end and start > end:
        raise UsageError("nights", "--from not after --to", f"{start}, {end}", "correct the dates")
    found = estimated(stores, settings, start, end)
    if as_json:
        typer.echo(json_text(found.as_dict()))
        return
    rows = [
        {"window": n.window, "version": n.version, f"estimated {found.metric}": n.value, "±": n.se, "rows": n.n,
         "realised": n.realised, "trusted": "yes" if n.trusted else "no", "gap": n.gap}
        for n in found.nights
    ]  # fmt: skip
    show(rows, False, empty=f"no estimate yet. Next: tidegate nightly {model}")
    for words in found.words:
        typer.echo(words)


def labels(ctx: typer.Context, model: Model, as_json: Json = False) -> None:
    """How many nights labels take, whether the declared delay is enough, whether labels are selective."""
    from dataclasses import asdict

    from tidegate.steps.arrival import arrivals
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    found = arrivals(stores, stores.project.model(model))
    if as_json:
        typer.echo(json_text({"model": model, **asdict(found)}))
    else:
        _told(model, found)
    if not found.verdict.passed:
        raise typer.Exit(EXIT[found.verdict.outcome])


def _told(model: str, found: Any) -> None:
    curve = found.curve
    until = found.verdict.numbers.get("until", {})
    rows, before = [], -1.0
    for age, share, n in zip(curve.age, curve.share, curve.n, strict=True):
        if share - before >= 0.005 or age in (0, found.verdict.numbers.get("delay"), curve.age[-1]):
            rows.append({"nights": age, "rows with a label": f"{share:.1%}", "rows watched so long": f"{n:,}"})
            before = share
    show(rows, False, empty=f"{model} has no rows yet. Next: tidegate nightly {model}")
    for what, differences in (("share with a label", found.coverage), ("early labels", found.early)):
        shown = [
            {what: d.what, "within": d.inside, "rest": d.outside, "nightly difference": d.estimate.value,
             "±": d.estimate.se, "rows": d.n, "differs": "yes" if d.proven else "no"}
            for d in differences[:8]
        ]  # fmt: skip
        if shown:
            typer.echo("")
            show(shown, False)
    typer.echo("")
    if until.get("50%") is not None:
        nights = ", ".join(f"{part} after {age}" for part, age in until.items())
        typer.echo(f"{model}, as of {found.as_of}: of the labels that come, nights until they are there: {nights}")
    for reason in found.verdict.reasons:
        typer.echo(f"{found.verdict.outcome}: {reason}")


def add_to(app: typer.Typer) -> None:
    for verb in (estimates, labels):
        app.command()(verb)
