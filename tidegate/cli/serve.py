"""`tidegate serve` and `tidegate keys`: the gateway, and who may ask it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.output import Json, home_of, json_text
from tidegate.cli.output import show as show_rows
from tidegate.text import printable

if TYPE_CHECKING:
    from serving.run import Listening
    from tidegate.adapters.apikeys import ApiKeys
    from tidegate.config.home import Home

keys = typer.Typer(no_args_is_help=True, help="API keys of those who may ask the gateway.")
Name = Annotated[str, typer.Argument(help="Who holds the key.")]


def serve(
    ctx: typer.Context,
    models: Annotated[list[str] | None, typer.Argument(help="Models to serve; left out, all of the home.")] = None,
    host: Annotated[str | None, typer.Option(help="Address; left out, serving.host of the platform file.")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for a free one; left out, serving.port.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; left out, serving.workers.")] = None,
    auth: Annotated[bool, typer.Option("--auth", help="Ask for API keys on loopback, too.")] = False,
) -> None:
    """Serve the champions by MLflow's scoring protocol, and log every inference; Ctrl-C stops it."""
    home = home_of(ctx)
    from serving.run import serve as start

    start(home, tuple(models or ()), host=host, port=port, workers=workers, auth=auth, told=lambda at: _tell(home, at))


def _tell(home: Home, at: Listening) -> None:
    from tidegate.errors import StoreError
    from tidegate.steps.reconcile import reconcile
    from tidegate.steps.stores import open_stores

    try:
        stores = open_stores(home)
        plans = stores.plans
        for name in at.models:
            for line in reconcile(stores, stores.project.model(name), mirror=False).done:
                typer.echo(printable(f"  {name}: {line}"))
        state = {n: f"version {v}" if (v := plans.get(n).champion) else f"no champion yet: tidegate retrain {n}"
                 for n in at.models}  # fmt: skip
    except StoreError as fault:
        state = dict.fromkeys(at.models, "the last plan that is known")
        typer.echo(f"control cannot be read, so the last plans are followed: {printable(str(fault))}", err=True)
    typer.echo(f"gateway on {at.url}, {at.workers} worker{'s' * (at.workers != 1)}; Ctrl-C stops it")
    for name in at.models:
        path = "/invocations" if len(at.models) == 1 else f"/models/{name}/invocations"
        typer.echo(f"  {name}: {state[name]}, POST {path}")
    typer.echo(f"  API keys: {'asked for' if at.guarded else 'not asked for, as only this machine can reach it'}")


@keys.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option(help="predict, label, read (metrics, plans) or admin (all three).")] = "predict",
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once: only its digest is kept."""
    from tidegate.clock import now
    from tidegate.config.values import NAME, NAME_WORDS
    from tidegate.errors import UsageError

    store = _store(home_of(ctx))
    if not NAME.fullmatch(name):
        raise UsageError("name of a key", NAME_WORDS, repr(name)[:60])
    key = store.add(name, role, owner=getpass.getuser(), at=now())  # type: ignore[arg-type]
    if as_json:
        typer.echo(json_text({"name": name, "role": role, "key": key}))
        return
    typer.echo(key)
    typer.echo(f"The key of {name} ({role}); it is not shown again. Header: Authorization: Bearer KEY", err=True)


@keys.command("list")
def show(ctx: typer.Context, as_json: Json = False) -> None:
    """Every key, by name; never the keys themselves."""
    found = _store(home_of(ctx)).all()
    rows = [
        {"name": k.name, "role": k.role, "since": k.known_at.isoformat(timespec="seconds"),
         "revoked": f"{k.ended_at.isoformat(timespec='seconds')} by {k.ended_by}" if k.ended_at else ""}
        for k in found
    ]  # fmt: skip
    show_rows(rows, as_json, empty="no keys; make one: tidegate keys add NAME")


@keys.command("revoke")
def revoke(ctx: typer.Context, name: Name) -> None:
    """End a key; gateways that run refuse it within a second."""
    from tidegate.clock import now

    _store(home_of(ctx)).revoke(name, by=getpass.getuser(), at=now())
    typer.echo(f"key {name} is revoked")


def _store(home: Home) -> ApiKeys:
    from tidegate.adapters.apikeys import ApiKeys
    from tidegate.steps.stores import open_stores

    stores = open_stores(home)
    return ApiKeys(stores.control, stores.namespace)


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command()(serve)
    app.add_typer(keys, name="keys")


__all__ = ["add_to"]
