"""The `tidegate` command. Heavy libraries are imported by the verb that needs them."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from tidegate import __version__
from tidegate.errors import TidegateError, UsageError
from tidegate.text import printable

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Keeps machine-learning models in production healthy.",
)  # fmt: skip

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # A busy laptop may take longer than Prefect's 20 s to start its embedded server.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}
"""Telemetry off everywhere, and no library's log lines on the user's terminal."""

IDLE = (
    *("EVENT_PERSISTER", "TRIGGERS", "SCHEDULER", "LATE_RUNS"),
    *("PAUSE_EXPIRATIONS", "FOREMAN", "CANCELLATION_CLEANUP", "REPOSSESSOR"),
)
"""Services that Prefect's embedded server does not need for the one run that it is started for."""


@app.callback()
def _root(
    ctx: typer.Context,
    home: Annotated[Path | None, typer.Option("--home", help="Home folder (else TIDEGATE_HOME, or upward).")] = None,
) -> None:
    ctx.obj = home
    if ctx.invoked_subcommand == "up":
        return  # what it starts is a real server, and says what it does
    for key, value in (QUIET | {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE}).items():
        os.environ.setdefault(key, value)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


ROOMS = (
    "run",
    "approval",
    "evidence",
    "explain",
    "status",
    "doctor",
    "inspect",
    "report",
    "alarms",
    "oncall",
    "detectors",
    "quarantine",
    "config",
    "profiles",
    "mitigate",
    "adjust",
    "ci",
    "decisions",
    "estimates",
    "policies",
    "lab",
    "serve",
    "rollback",
    "inferences",
    "service",
    "alerts",
    "incident",
    "housekeeping",
    "pages",
    "up",
    "deployments",
)
"""The modules of verbs, in the order in which `--help` lists them."""


@cache
def furnish() -> typer.Typer:
    """The command with every verb; they are added once, however often the command is called in a process."""
    for room in ROOMS:
        import_module(f"tidegate.cli.{room}").add_to(app)
    return app


def main() -> None:
    """Entry point: a fault is one line on stderr and its own exit code."""
    from pydantic import ValidationError

    furnish()
    try:
        app()
    except ValidationError as fault:
        first = fault.errors()[0]
        key = ".".join(map(str, first["loc"])) or "request"
        told = f"{key}: expected {first['msg']}, found {first['input']!r}. Next: correct the value"
        typer.echo(f"tidegate: {printable(told)}", err=True)
        sys.exit(UsageError.exit_code)
    except TidegateError as fault:
        # One plain line, whatever data, the user's code or a library put into its message.
        typer.echo(f"tidegate: {printable(' '.join(str(fault).split()))}", err=True)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()
