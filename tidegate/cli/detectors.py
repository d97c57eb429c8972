"""Verbs about limits: `aa`, `whatif`, `detectors list|propose|approve|retire`."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, Model, flow_home, home_of, show
from tidegate.cli.run import day
from tidegate.errors import UsageError
from tidegate.text import plain_line

if TYPE_CHECKING:
    from tidegate.steps.aa import Answer
    from tidegate.steps.stores import Stores

Budget = Annotated[float | None, typer.Option(help="False pages in 30 days; left out, the model's share.")]
Number = Annotated[int, typer.Argument(help="Number of a set, as `detectors list` shows it.", min=1)]
group = typer.Typer(no_args_is_help=True, help="The limits of a model's monitors.")


def aa(
    ctx: typer.Context,
    model: Model,
    first: Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD; else the first stored.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last date; else the last stored.")] = None,
    budget: Budget = None,
    repeats: Annotated[int, typer.Option(help="Orders of the nights that are tried.", min=1, max=100)] = 6,
    seed: Annotated[int, typer.Option(help="Of the orders and the simulated histories.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """How many false pages the budget comes to where nothing drifts, and the power of the same limits."""
    from tidegate.clock import now
    from tidegate.steps.aa import aa as measure
    from tidegate.steps.stores import open_stores

    stores = open_stores(flow_home(ctx))
    settings = stores.project.model(model)
    start, end = dates_of(stores, settings.dataset, day(first, "--from"), day(last, "--to"))
    quiet = as_json
    answer = measure(
        stores, settings, start, end, now(), budget=_checked(budget), repeats=repeats, seed=seed,
        say=lambda words: None if quiet else typer.echo(f"  {words}", err=True),
    )  # fmt: skip
    if as_json:
        import json

        typer.echo(json.dumps(answer.as_dict(), indent=1))
    else:
        _told(answer)
    if not answer.certified:
        raise typer.Exit(4)


def _told(a: Answer) -> None:
    typer.echo(f"{a.model}: {a.words}")
    for name, r in a.parts.items():
        typer.echo(
            f"  {name:20} {r.measured:.2f} false pages in 30 nights, 95 % interval {r.lower95:.2f} to {r.upper95:.2f},"
            f" over {r.months:.0f} months"
        )
    if not math.isnan(a.power):
        cases = sum(s["starts"] for s in a.shifts)
        typer.echo(f"  power                {a.power:.0%} of {cases} large harmful shifts paged within 7 nights, "
                   f"{a.silent_share:.0%} raised nothing at all")  # fmt: skip
        typer.echo("")
        show(a.shifts, False)


def _checked(budget: float | None) -> float | None:
    if budget is not None and not (math.isfinite(budget) and budget >= 0):
        raise UsageError("--budget", "false pages in 30 days, 0 or more", str(budget), "for example --budget 1")
    return budget


def dates_of(stores: Stores, dataset: str, first: date | None, last: date | None) -> tuple[date, date]:
    """The asked dates, else those of the stored windows, else those that the source's files have."""
    if first and last:
        return _ordered(first, last)
    known = [s.window for s in stores.data.many("batches", dataset)]
    if len(known) < 2:
        known = _source_dates(stores, dataset)
    if not known:
        wanted, do = "stored windows, or --from and --to", "run tidegate nightly, or name the dates"
        raise UsageError(f"nights of {dataset}", wanted, "none", do)
    return _ordered(first or date.fromisoformat(known[0]), last or date.fromisoformat(known[-1]))


def _ordered(first: date, last: date) -> tuple[date, date]:
    if first > last:
        raise UsageError("nights", "--from not after --to", f"{first}, {last}", "correct the dates")
    return first, last


def _source_dates(stores: Stores, dataset: str) -> list[str]:
    """The dates that the source has a file for, where its name holds the date."""
    files = stores.project.dataset(dataset).source.files
    if not files or files.count("{date}") != 1:
        return []
    before, after = files.split("{date}")
    found = stores.home.root.glob(before + "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]" + after)
    names = [p.relative_to(stores.home.root).as_posix() for p in found]
    return sorted(n[len(before) : len(before) + 10] for n in names)


def whatif(ctx: typer.Context, model: Model, budget: Budget = None, as_json: Json = False) -> None:
    """What another budget would have come to on the stored nights."""
    from dataclasses import asdict

    from tidegate.steps.stores import open_stores
    from tidegate.steps.whatif import whatif as judge

    stores = open_stores(home_of(ctx))
    found = judge(stores, stores.project.model(model), _checked(budget))
    if as_json:
        import json

        typer.echo(json.dumps(asdict(found), indent=1))
        return
    perhaps = f" ({found.perhaps} more if effects that nobody worked out were material)" if found.perhaps else ""
    typer.echo(
        f"{model}: with a budget of {found.budget:g} in 30 days, {found.nights} nights ({found.certified_nights} with "
        f"certified limits) come to {found.pages} pages{perhaps} and {found.tickets} tickets"
    )
    show([{"window": a.window, "severity": a.severity, "cause": a.cause, "about": a.about, "subject": a.subject}
          for a in found.alarms if a.severity != "digest"], False, empty="no page and no ticket")  # fmt: skip


@group.command("list")
def list_sets(ctx: typer.Context, model: Model, as_json: Json = False) -> None:
    """Every set of limits: which is in force, what it promises, which run beside it."""
    from tidegate.alarms.calibration import VERSION, Calibration

    stores = _stores(ctx, model)
    rows: list[dict[str, Any]] = []
    for d in stores.detectors.all(model):
        # Sets of other monitors cannot be read, and are shown all the same.
        c = Calibration.from_dict(d.body) if d.body["version"] == VERSION else None
        sudden, gradual = c.run_lengths if c else (None, None)
        rows.append({"number": d.number, "status": d.status, "version": d.version, "calibrated": d.window,
                     "since": d.since, "budget": d.body["budget"], "certified": c and c.certified,
                     "sudden": c and c.sudden, "run_length_sudden": sudden, "gradual": c and c.gradual,
                     "run_length_gradual": gradual, "promise": c.words if c else "of other monitors",
                     "monitors": d.body["version"]})  # fmt: skip
    show(rows, as_json, empty=f"no limits yet: they are set when {model} has a champion with 42 nights of reference")


@group.command()
def propose(ctx: typer.Context, model: Model, budget: Budget = None, as_json: Json = False) -> None:
    """Calibrate a set of limits for the champion; it runs beside the one in force and pages nobody."""
    from tidegate.alarms.calibration import LEAST
    from tidegate.clock import now
    from tidegate.steps.calibrate import calibrated

    stores = _stores(ctx, model)
    settings, champion = stores.project.model(model), stores.champion(model)
    if champion is None:
        raise UsageError(f"champion of {model}", "a promoted version", "none", f"run tidegate retrain {model}")
    found = calibrated(stores, settings, champion[1], _checked(budget))
    if found is None:
        nights = len(champion[1].spec["trained"])
        raise UsageError(f"reference of {model}", f"{LEAST} nights or more", f"{nights}", "retrain when there are more")
    window = champion[1].spec["as_of"]
    number = stores.detectors.propose(model, settings.owner, champion[0], window, found.as_dict(), now())
    show([{"number": number, "promise": found.words, "sudden": found.sudden, "gradual": found.gradual}], as_json)
    if not as_json:
        typer.echo(f"Next: let it run beside the other, look at `tidegate findings {model} DATE`, then "
                   f"tidegate detectors approve {model} {number}")  # fmt: skip


@group.command()
def approve(
    ctx: typer.Context,
    model: Model,
    number: Number,
    by: Annotated[str, typer.Option(help="Who approves.")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Put a proposed set in force, and retire the other; the ledger says who and why."""
    from tidegate.clock import now

    by, reason = plain_line(by, "--by", 120), plain_line(reason, "--reason", 1000, empty=True)
    stores = _stores(ctx, model)
    settings = stores.project.model(model)
    plan = stores.plans.get(model)
    proposed = next((d for d in stores.detectors.all(model) if d.number == number), None)
    if proposed is not None and proposed.version != plan.champion:
        raise UsageError(
            f"detectors {number} of {model}", f"limits for the champion, version {plan.champion}",
            f"limits for version {proposed.version}", f"run tidegate detectors propose {model}",
        )  # fmt: skip
    watched = [s.window for s in stores.lake.many("findings", model)]
    after = watched[-1] if watched else proposed.window if proposed else ""
    changed = stores.detectors.approve(
        model, number, owner=settings.owner, by=by, reason=reason, window=after, at=now()
    )
    if not changed and not as_json:
        typer.echo(f"detectors {number} of {model} already are in force: nothing was changed")
        return
    if not changed:
        now_active = next(d for d in stores.detectors.all(model) if d.number == number)
        show([{"in_force": number, "after": now_active.since, "by": None}], as_json)
        return
    show([{"in_force": number, "after": after, "by": by}], as_json)


@group.command()
def retire(ctx: typer.Context, model: Model, number: Number) -> None:
    """Stop running a proposed set."""
    _stores(ctx, model).detectors.retire(model, number)
    typer.echo(f"detectors {number} of {model} are retired")


def _stores(ctx: typer.Context, model: str) -> Stores:
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    stores.project.model(model)
    return stores


def add_to(app: typer.Typer) -> None:
    for verb in (aa, whatif):
        app.command()(verb)
    app.add_typer(group, name="detectors")
