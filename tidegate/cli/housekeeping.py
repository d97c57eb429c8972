"""Verbs that keep house: `compact`, `backup`, `restore`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.output import Json, flow_home, json_text
from tidegate.text import printable


def compact(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be given up; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make one file of each served window, give up what is past its retention, and hold the disk to its budget."""
    from tidegate.clock import now
    from tidegate.steps.compact import compact as keep_house
    from tidegate.steps.disk import megabytes
    from tidegate.steps.stores import open_stores

    done = keep_house(open_stores(flow_home(ctx)), now(), dry=dry_run)
    if as_json:
        typer.echo(json_text(asdict(done)))
    else:
        would = "would be " if dry_run else ""
        retired = ", ".join(f"{n} of {table}" for table, n in sorted(done.retired.items())) or "none"
        lines = [
            f"windows given up    {would}{retired}" if done.retired else "windows given up    none",
            f"former contents     {done.former} {would}given up, {done.kept} kept for versions that can be reproduced",
            *([] if dry_run else [f"made one file       {done.merged} windows", f"stray files         {done.strays}",
                                  f"packages            {done.packages} given up"]),
            f"old logs and pages  {done.files}",
            f"on the disk         {megabytes(done.after)}" + ("" if dry_run else f", before {megabytes(done.before)}"),
            f"budget              {done.verdict.outcome}" + "".join(f"; {r}" for r in done.verdict.reasons),
        ]  # fmt: skip
        for line in (*lines, *(f"note                {n}" for n in done.notes)):
            typer.echo(printable(line))
    if not done.verdict.passed:
        raise typer.Exit(3)


def backup(
    ctx: typer.Context,
    to: Annotated[
        Path | None, typer.Argument(help="The archive; by default one named by the time, in backups/.")
    ] = None,
    verify: Annotated[Path | None, typer.Option(help="Check an archive to the last byte, and write none.")] = None,
    as_json: Json = False,
) -> None:
    """Put control, lake, registry, packages, log, keys, configuration and code into one archive, while all run."""
    from tidegate.clock import now
    from tidegate.steps.disk import megabytes
    from tidegate.steps.stores import open_stores

    if verify is not None:
        _verified(verify, as_json)
        return
    from tidegate.steps.backup import back_up

    stores, at = open_stores(flow_home(ctx)), now()
    name = f"tidegate-{stores.namespace}-{at:%Y%m%dT%H%M%SZ}.tar"
    done = back_up(stores, to or stores.home.root / "backups" / name, at)
    body: dict[str, Any] = asdict(done) | {"file": str(done.file)}
    if as_json:
        typer.echo(json_text(body))
    else:
        typer.echo(printable(f"{done.file}  {done.members} files, {megabytes(done.bytes)}"))
        typer.echo("It holds the keys of this home: keep it where only you can read it.")
        for said in done.damaged:
            typer.echo(printable(f"damaged: {said}. Next: run its window again, or look for it in an older backup"))
    if done.damaged:
        raise typer.Exit(3)


def _verified(file: Path, as_json: bool) -> None:
    from tidegate.adapters.archive import unpack

    manifest = unpack(file, None)
    body = {k: v for k, v in manifest.items() if k != "members"} | {"files": len(manifest["members"])}
    if as_json:
        typer.echo(json_text(body))
    else:
        typer.echo(printable(f"{file}  {body['files']} files, every byte as it was written at {body['made']}"))


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `tidegate backup` wrote.")],
    into: Annotated[Path, typer.Option(help="A folder without a home; made where it is not there.")] = Path(),
    as_json: Json = False,
) -> None:
    """Make a home of a backup; every byte is checked before anything is put in place."""
    from tidegate.steps.backup import restore as restored
    from tidegate.steps.stores import open_stores

    home = restored(file, into)
    stores = open_stores(home)
    champions = {name: stores.plans.get(name).champion for name in stores.project.models()}
    if as_json:
        typer.echo(json_text({"home": str(home.root), "champions": champions}))
        return
    typer.echo(printable(f"{home.root}  restored"))
    for name, version in champions.items():
        typer.echo(printable(f"  {name}: " + (f"version {version} is champion" if version else "no champion yet")))
    typer.echo(printable(f"Next: tidegate --home {home.root} doctor"))


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (compact, backup, restore):
        app.command()(verb)
