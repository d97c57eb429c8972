"""Verbs on how a model is served: `service`, `skew`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import EXIT, Json, Model, home_of, json_text, show
from tidegate.cli.run import day
from tidegate.errors import UsageError
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.verdicts import Verdict

Of = Annotated[str | None, typer.Option("--window", help="Date; else the newest that was measured.")]


def service(ctx: typer.Context, model: Model, window: Of = None, as_json: Json = False) -> None:
    """Requests, errors, latency and answers of a window, and whether they are worse than declared or before."""
    found, verdict = _newest(ctx, model, "service", window)
    numbers = verdict.numbers
    if as_json:
        typer.echo(json_text({"model": model, "window": found, **verdict.as_dict(), "latency": _latency(numbers)}))
    else:
        _told(found, numbers)
        for what in ("version", "source", "caller"):
            of = numbers["by"].get(what) or {}
            words = ", ".join(f"{printable(str(k)) or 'nobody named'} {n:,}" for k, n in of.items())
            typer.echo(f"rows by {what}: {words or 'none'}")
        for version, took in numbers["by_version"].items():
            typer.echo(f"version {version}: {_quantiles(took)}")
        if isinstance(numbers["prediction"], dict):
            shares = ", ".join(f"{printable(k)} {v:.1%}" for k, v in numbers["prediction"].items())
            typer.echo(f"predictions: {shares or 'none'}")
        else:
            typer.echo(f"predictions, deciles: {', '.join(f'{v:.4g}' for v in numbers['prediction'])}")
        if numbers["confidence"]:
            typer.echo(f"confidence, deciles: {', '.join(f'{v:.3f}' for v in numbers['confidence'])}")
        if (taken := numbers.get("resources") or {}).get("cpu_s") is not None:
            shared = f", workers shared by {taken['models']:.0f} models" if taken["models"] > 1 else ""
            cards = "" if taken["gpu"] is None else f", GPU {taken['gpu']:.0%} busy, {taken['gpu_memory'] / 1e9:.1f} GB"
            typer.echo(f"resources: {taken['cpu_s']:,.0f} CPU s ({taken['cores']:.2f} cores on average), "
                       f"{taken['memory'] / 1e6:,.0f} MB at most{cards}{shared}")  # fmt: skip
        for why, n in numbers["refusals"].items():
            typer.echo(f"not answered: {n:,.0f} × {printable(why)}")
    _end(verdict, as_json)


def skew(ctx: typer.Context, model: Model, window: Of = None, as_json: Json = False) -> None:
    """Whether logged rows score the same through the registered package, and have the warehouse's inputs."""
    found, verdict = _newest(ctx, model, "skew", window)
    if as_json:
        typer.echo(json_text({"model": model, "window": found, **verdict.as_dict()}))
    else:
        rows = [
            {"window": found, "what": line["what"], "column": line.get("column", ""), "outcome": line["outcome"],
             "differ": line["rows"], "of": line["of"], "": line["words"]}
            for line in verdict.numbers["lines"]
        ]  # fmt: skip
        show(rows, False, empty="nothing was replayed")
    _end(verdict, as_json)


def _newest(ctx: typer.Context, model: str, kind: str, window: str | None) -> tuple[str, Verdict]:
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    stores.project.model(model)
    asked = day(window, "--window")
    known = sorted(stores.records.outcomes(model, kind))
    name = asked.isoformat() if asked else next(reversed(known), "")
    if name not in known:
        what = f"window {name}" if name else f"a measured {kind}"
        have = f"{known[0]} to {known[-1]}" if known else "none"
        raise UsageError(f"{kind} of {model}", what, have, f"serve it, then run tidegate nightly {model}")
    verdict = stores.records.verdict(model, kind, name)
    assert verdict is not None
    return name, verdict


def _told(window: str, numbers: Any) -> None:
    seen = numbers["service"]
    asked = seen["answered"] + seen["failed"]
    share = seen["failed"] / asked if asked else math.nan
    typer.echo(
        f"{window}: {seen['answered']:,.0f} requests answered ({seen['rows']:,.0f} rows), "
        f"{asked / seen['seconds']:.3g} a second, {seen['busiest'] / 60:.3g} in the busiest minute; "
        f"{seen['failed']:,.0f} failed ({share:.2%}), {seen['throttled']:,.0f} turned away, "
        f"{seen['refused']:,.0f} refused"
    )
    for name, took in _latency(numbers).items():
        typer.echo(f"{name} {_ms(took['value'])} ({_ms(took['low'])} to {_ms(took['high'])})")
    for line in numbers["lines"]:
        against = "declared" if line["against"] == "declared" else "the nights before"
        words = f": {printable(line['words'])}" if line["outcome"] != "pass" else ""
        typer.echo(f"{line['outcome']}: {line['what']} against {against}{words}")


def _latency(numbers: Any) -> dict[str, dict[str, float]]:
    from dataclasses import asdict

    from tidegate.performance.service import QUANTILES, Service

    seen = Service.from_dict(numbers["service"])
    effect = seen.design_effect
    return {n: asdict(seen.latencies.quantile(q, design_effect=effect.get(n, 1.0))) for n, q in QUANTILES.items()}


def _quantiles(took: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_ms(value)}" for name, value in took.items())


def _ms(seconds: float | None) -> str:
    from tidegate.performance.service import milliseconds

    if seconds is None or math.isnan(seconds):
        return "unknown"
    return "unbounded" if math.isinf(seconds) else milliseconds(seconds)


def _end(verdict: Verdict, as_json: bool) -> None:
    if not as_json:
        for reason in verdict.reasons:
            typer.echo(f"{verdict.outcome}: {printable(reason)}")
    if not verdict.passed:
        raise typer.Exit(EXIT[verdict.outcome])


def add_to(app: typer.Typer) -> None:
    for verb in (service, skew):
        app.command()(verb)
