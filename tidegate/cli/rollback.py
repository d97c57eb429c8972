"""Verbs of the way back, and of what is kept for it: `rollback`, `packages`, `reconcile`.

They need neither Prefect nor MLflow: the local packages and the control database are enough.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import EXIT, Json, Model, flow_home, json_text, show
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.config.model import Model as Settings
    from tidegate.steps.rollback import RolledBack
    from tidegate.steps.stores import Stores
    from tidegate.steps.switch import Switched

SIGNED = "Who you are; kept in the ledger. By default the name you are logged in with."


def rollback(
    ctx: typer.Context,
    model: Model,
    to: Annotated[int | None, typer.Option(help="A former champion; by default the last one that is sound.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Do not try it on current data first.")] = False,
    by: Annotated[str, typer.Option(help=SIGNED)] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
    drill: Annotated[bool, typer.Option("--drill", help="Measure it beside production, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make a former champion the champion again; works with MLflow and Prefect down."""
    from tidegate.adapters.processes import began
    from tidegate.clock import now as wall
    from tidegate.steps.rollback import mirrored, roll_back_by
    from tidegate.steps.stores import open_stores

    started = began()
    stores = open_stores(flow_home(ctx))
    settings = stores.project.model(model)
    if drill:
        _drill(stores, settings, to, not now, as_json)
    done = roll_back_by(stores, settings, wall(), by=by or _login(), reason=reason, to=to, check=not now, mirror=False)
    if done.switched is None:
        _refused(done, as_json)
        raise typer.Exit(3)
    seconds = _seconds(done.switched, started)
    if not as_json:
        _say(done, done.switched, seconds)
        sys.stdout.flush()  # the registry may take its time, and what serves has switched
    owed = mirrored(stores, settings)
    if as_json:
        typer.echo(json_text(_body(done, done.switched, seconds, owed)))
    elif owed:
        typer.echo(printable(f"  owed: the registry's alias ({owed}); the next night mirrors it, or tidegate "
                             f"reconcile {model}"))  # fmt: skip


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def _seconds(switched: Switched, started: float) -> float:
    """From the start of the command to the last worker's switch; without workers, to now."""
    there = [a.known_at.timestamp() for a in switched.workers if a.revision >= switched.plan.revision and not a.fault]
    return round(max(there, default=time.time()) - started, 2)


def _refused(done: RolledBack, as_json: bool) -> None:
    if as_json:
        typer.echo(json_text({"model": done.model, "from": done.before, "to": done.version, "refused": True,
                              "checked": done.checked.as_dict(), "notes": done.notes}))  # fmt: skip
        return
    typer.echo(f"{done.model}: not rolled back, version {done.before} stays champion")
    for line in (*done.checked.reasons, *done.notes):
        typer.echo(f"  {printable(line)}")
    typer.echo(f"  Next: tidegate rollback {done.model} --now does it without this check, --to VERSION names another")


def _say(done: RolledBack, switched: Switched, seconds: float) -> None:
    typer.echo(f"{done.model}: version {done.version} is champion again, version {done.before} is rolled back "
               f"(plan revision {switched.plan.revision})")  # fmt: skip
    for line in (*done.checked.reasons, *done.notes):
        typer.echo(f"  {printable(line)}")
    if not switched.workers:
        typer.echo(f"  no gateway is running: whichever starts next serves it; {seconds} s from the command's start")
        return
    late = {a.worker for a in switched.late}
    for a in switched.workers:
        what = "has not answered yet, and still serves" if a.worker in late else "serves"
        why = f" (cannot load version {done.version}: {a.fault})" if a.fault else ""
        typer.echo(printable(f"  {a.worker} {what} version {a.version}{why}"))
    there = sum(a.worker not in late and not a.fault for a in switched.workers)
    typer.echo(f"  {there} of {len(switched.workers)} workers have switched, {seconds} s after the command's start")


def _body(done: RolledBack, switched: Switched, seconds: float, owed: str) -> dict[str, Any]:
    revision = switched.plan.revision
    workers = [{"worker": a.worker, "version": a.version, "revision": a.revision, "fault": a.fault,
                "switched": a.revision >= revision and not a.fault} for a in switched.workers]  # fmt: skip
    return {
        "model": done.model, "from": done.before, "to": done.version, "refused": False,
        "revision": revision, "checked": done.checked.as_dict(), "notes": done.notes,
        "workers": workers, "seconds": seconds, "alias": "owed" if owed else "mirrored", "owed": owed,
    }  # fmt: skip


def _drill(stores: Stores, settings: Settings, to: int | None, check: bool, as_json: bool) -> None:
    """Exit code 3 where it took too long, or a request failed."""
    from tidegate.clock import now
    from tidegate.steps.drill import drill

    verdict = drill(stores, settings, now(), to=to, check=check)
    if as_json:
        typer.echo(json_text(verdict.as_dict()))
    else:
        typer.echo(f"drill of {settings.name}: {verdict.outcome}; production is as it was")
        for line in verdict.reasons:
            typer.echo(f"  {printable(line)}")
    raise typer.Exit(EXIT[verdict.outcome])


def packages(
    ctx: typer.Context,
    model: Model,
    prune: Annotated[bool, typer.Option("--prune", help="Delete those that nothing pins.")] = False,
    keep_days: Annotated[float, typer.Option(min=0, help="With --prune: only those older than so many days.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Show the model packages in the local folder: version, status, why each is kept, size, whether it is intact."""
    from tidegate.steps.pins import prune as pruned
    from tidegate.steps.pins import shelf
    from tidegate.steps.stores import open_stores

    stores = open_stores(flow_home(ctx))
    name = stores.project.model(model).name
    gone = pruned(stores, name, keep_days) if prune else []
    found = shelf(stores, name)
    if as_json:
        typer.echo(json_text({"packages": [asdict(s) for s in found], "pruned": gone}))
    else:
        show(
            [{"package": s.digest[:12], "version": s.version, "status": s.status, "pinned": s.pinned or "no",
              "MB": s.bytes / 1e6, "intact": "yes" if s.intact else "NO", "days": s.age_days} for s in found],
            False, empty=f"{name} has no packages yet",
        )  # fmt: skip
        if prune:
            typer.echo(f"{len(gone)} deleted")
    broken = [s for s in found if s.pinned and not s.intact]
    if broken and not as_json:
        typer.echo(f"{len(broken)} pinned and not intact. Next: tidegate reconcile {name}")
    raise typer.Exit(3 if broken else 0)


def reconcile(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Name of a file in configs/models; by default every one.")] = None,
    as_json: Json = False,
) -> None:
    """Finish or undo what killed processes left, and make sure of the packages that are served or gone back to."""
    from tidegate.clock import now
    from tidegate.steps.reconcile import reconcile_all
    from tidegate.steps.stores import open_stores

    stores = open_stores(flow_home(ctx))
    models = [stores.project.model(model)] if model else list(stores.project.models().values())
    done = {m.name: reconcile_all(stores, m, now()) for m in models}
    if as_json:
        typer.echo(json_text({name: asdict(r) for name, r in done.items()}))
    else:
        for name, found in done.items():
            lines = [*found.done, *(f"still owed: {o}" for o in found.owed)]
            typer.echo(f"{name}: " + ("" if lines else "nothing was left half-done"))
            for line in lines:
                typer.echo(f"  {printable(line)}")
    raise typer.Exit(4 if any(r.owed for r in done.values()) else 0)


def add_to(app: typer.Typer) -> None:
    for verb in (rollback, packages, reconcile):
        app.command()(verb)
