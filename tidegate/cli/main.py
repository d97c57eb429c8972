"""The `tidegate` command. Heavy libraries are imported by the verb that needs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from tidegate import __version__
from tidegate.errors import TidegateError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Keeps machine-learning models in production healthy.")


def quiet() -> None:
    """Telemetry off everywhere, and no library's log lines on the user's terminal."""
    for key, value in {
        "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "GX_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
        "PREFECT_CLI_PROMPT": "false", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }.items():
        os.environ.setdefault(key, value)


@app.callback()
def _root(
    ctx: typer.Context,
    home: Annotated[Optional[Path], typer.Option("--home", help="Home folder; by default TIDEGATE_HOME, or the nearest one upward.")] = None,
) -> None:
    ctx.obj = home
    quiet()


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def replay(
    ctx: typer.Context,
    model: str,
    start: Annotated[str, typer.Option("--from", help="First night, YYYY-MM-DD.")],
    end: Annotated[str, typer.Option("--to", help="Last night, YYYY-MM-DD.")],
    policy: Annotated[str, typer.Option(help="tidegate, never, monthly, or all side by side.")] = "tidegate",
    history: Annotated[Optional[str], typer.Option(help="First night of the first champion's training; 59 nights before --from by default.")] = None,
    faults: Annotated[Optional[str], typer.Option(help="YAML file of faults to inject, relative to the home.")] = None,
    replay_id: Annotated[str, typer.Option("--id", help="Name of the replay's folder under var/replay.")] = "replay",
    out: Annotated[Optional[Path], typer.Option(help="Folder for summary.json and report.html.")] = None,
) -> None:
    """Take history through the real steps, night by night."""
    from tidegate.cli.replaying import run_replay

    run_replay(ctx.obj, model, start, end, policy, history, faults, replay_id, out)


def main() -> None:
    """Entry point: a fault is one line on stderr and its own exit code."""
    try:
        app(standalone_mode=True)
    except TidegateError as fault:
        typer.echo(f"tidegate: {fault}", err=True)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()
