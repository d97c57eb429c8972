"""`tidegate up`: everything in one foreground process, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.output import flow_home
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.adapters.children import Child
    from tidegate.config.home import Home
    from tidegate.config.project import Project

LOOK = 0.2
DUTIES = {"deliver": 10.0, "overdue": 60.0}
"""Seconds between two looks at alerts to be sent, and at nights that nobody ran."""
ORDER = ("runner", "gateway", "pages", "mlflow", "prefect")
"""They are stopped in this order: whoever starts runs first, what they talk to last."""


def up(
    ctx: typer.Context,
    without: Annotated[list[str] | None, typer.Option(help="A server to leave out; may be given again.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Servers' lines to their logs only.")] = False,
) -> None:
    """Start Prefect, the runner of all deployments, MLflow, the gateway and the pages; Ctrl-C stops them all."""
    from tidegate.adapters.children import Child
    from tidegate.adapters.orphans import end, guard, mark_of
    from tidegate.config.project import load_project
    from tidegate.steps.up import alone, check_ports, services

    home = flow_home(ctx)
    project = load_project(home)
    mark = mark_of(home.state)
    wanted = services(home, project, mark, tuple(without or ()))
    left = end(home.state, orphans=True)
    if left:
        typer.echo(f"ended {left} processes that an earlier tidegate up left behind")
    body = {"pid": os.getpid(), "since": time.time(), "urls": {s.name: s.url for s in wanted if s.url}}
    with alone(home, body):
        check_ports(home, project, wanted)
        (home.state / "up" / "runner.ready").unlink(missing_ok=True)
        logs = home.state / "logs"
        logs.mkdir(exist_ok=True)
        guard(home.state, mark)
        say = Voice(quiet)
        children = [Child(s, logs / f"{s.name}.log", project.platform.operations.log_bytes, say) for s in wanted]
        over = threading.Event()
        signals = _Signals(over)
        duties = threading.Thread(target=_duties, args=(home, over, say), daemon=True)
        try:
            for child in children:
                child.start()
            duties.start()
            _watch(children, project, over)
        finally:
            over.set()
            _stop(children, signals, say)
            duties.join(timeout=5)
            end(home.state, mark)
            typer.echo("all stopped")
    if any(child.healthy_at is None for child in children) and not signals.asked:
        raise typer.Exit(1)


class Voice:
    """Lines of several threads, each whole, each with the name of who says it."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.own, self._turn = quiet, {"up", "alerts", "deadman"}, threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        """Print a line of a server."""
        if not self.quiet or name in self.own:
            with self._turn:
                typer.echo(f"{name:<8} {printable(line)}")


class _Signals:
    """The first Ctrl-C or SIGTERM stops in order; the second one at once."""

    def __init__(self, over: threading.Event) -> None:
        self.over, self.asked = over, 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def _heard(self, *_: object) -> None:
        self.asked += 1
        self.over.set()


def _watch(children: list[Child], project: Project, over: threading.Event) -> None:
    """Until told to stop: who is healthy, who died."""
    began, patience = time.monotonic(), project.platform.operations.patience.total_seconds()
    told, late = False, set[str]()
    while not over.wait(LOOK):
        for child in children:
            child.poll()
            slow = child.running and not child.healthy and time.monotonic() - child.began > patience
            if slow and child.service.name not in late:
                late.add(child.service.name)
                child.say("up", f"{child.service.name} is not healthy after {patience:.0f} s: see {child.log}")
        if not told and all(child.healthy or child.gave_up for child in children):
            told = True
            _table(children, time.monotonic() - began)


def _table(children: list[Child], seconds: float) -> None:
    words = {"prefect": "flows, runs, forms", "mlflow": "models, lineage", "gateway": "predictions", "pages": "pages"}
    typer.echo("")
    for child in children:
        name = child.service.name
        state = child.service.url or "runs what is due" if child.healthy else f"not running, see {child.log}"
        typer.echo(f"  {name:<8} {state:<32} {words.get(name, '')}".rstrip())
    typer.echo(f"  healthy after {seconds:.0f} s. Ctrl-C stops everything.\n")
    sys.stdout.flush()


def _stop(children: list[Child], signals: _Signals, say: Voice) -> None:
    say("up", "stopping")
    by_name = {child.service.name: child for child in children}
    for name in ORDER:
        if name in by_name:
            # Asked twice, nobody waits.
            by_name[name].stop(0.2 if signals.asked > 1 else None)


def _duties(home: Home, over: threading.Event, say: Voice) -> None:
    """What must not hang on the scheduler: alerts go out, and a night that nobody ran is told."""
    from tidegate.clock import now
    from tidegate.steps.alerts import deliver
    from tidegate.steps.deadman import overdue
    from tidegate.steps.stores import stores_of

    def alerts() -> str:
        done = deliver(stores_of(home), now())
        return "; ".join(done.faults)

    def nights() -> str:
        return "; ".join(f"{o.model}: {o.nights} nights are not done, the oldest {o.window}" for o in
                         overdue(stores_of(home), now()))  # fmt: skip

    each: dict[str, tuple[str, Callable[[], str]]] = {"deliver": ("alerts", alerts), "overdue": ("deadman", nights)}
    last, said = dict.fromkeys(each, 0.0), dict.fromkeys(each, "")
    while not over.wait(1.0):
        for duty, (name, act) in each.items():
            if time.monotonic() - last[duty] < DUTIES[duty]:
                continue
            last[duty] = time.monotonic()
            try:
                words = act()
            except Exception as fault:  # whatever it is, the servers go on
                words = f"{type(fault).__name__}: {fault}"
            if words and words != said[duty]:
                say(name, words)
            said[duty] = words


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(up)
