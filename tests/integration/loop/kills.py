"""Kills a child at its k-th durable step, for each k, then reconciles: `kills.py WHAT HOME WORK NIGHT FIRST EVERY`.

Durable steps are commits that wrote, renames, moves and syncs of files. Each k has a copy of the home of its own, a
process that is killed and another one that reconciles; a line of JSON says what came of it.
"""

import datetime as dt
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import mlflow  # noqa: F401  (once, and not in each child)
import skops.io  # noqa: F401
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tidegate.adapters import ledger
from tidegate.adapters.registry import Registry
from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.lineage.chain import broken_at
from tidegate.steps.candidate import train_and_register
from tidegate.steps.decide import decide_window
from tidegate.steps.promote import promote
from tidegate.steps.reconcile import reconcile_all
from tidegate.steps.rollback import roll_back
from tidegate.steps.stores import open_stores

MODEL = "cultivars"
WRITES = ("INSERT", "UPDATE", "DELETE")


def opened(root, night):
    stores = open_stores(Home.at(root))
    model = stores.project.model(MODEL)
    window = stores.project.calendar(stores.project.dataset(model.dataset)).window(night)
    return stores, model, window, evening_of(window)


def act(what, root, night):
    stores, model, window, now = opened(root, night)
    if what == "promote":
        promote(stores, model, 2, window, now, why={"reason": "test"}, by="automatic")
    elif what == "roll_back":
        roll_back(stores, model, window, now, why={"reason": "test"}, by="ann")
    elif what == "train":
        train_and_register(stores, model, window, now, reason="test")
    elif what == "decide":
        decide_window(stores, model, window, now)


def armed(last):
    """Count durable steps from here on, and die before the last one is made."""
    done = 0

    def step():
        nonlocal done
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function):
        def counted(*args, **named):
            step()
            return function(*args, **named)

        return counted

    for room, name in ((os, "rename"), (os, "replace"), (os, "fsync"), (shutil, "move")):
        setattr(room, name, before(getattr(room, name)))

    @event.listens_for(Engine, "before_cursor_execute")
    def wrote(connection, cursor, statement, parameters, context, executemany):
        if statement.lstrip().upper().startswith(WRITES):
            connection.info["wrote"] = True

    @event.listens_for(Engine, "commit")
    def committed(connection):
        if connection.info.pop("wrote", False):
            step()


def child(work):
    """Run in a process of its own; its exit code, negative for a signal."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def facts(root, night):
    stores, model, _, now = opened(root, night)
    began = dt.datetime.now(dt.UTC)
    first = reconcile_all(stores, model, now)
    took = (dt.datetime.now(dt.UTC) - began).total_seconds()
    again = reconcile_all(stores, model, now)
    registry, plan = Registry(stores.home.state), stores.plans.get(MODEL)
    experiment = registry.client.get_experiment_by_name(MODEL)
    runs = registry.client.search_runs([experiment.experiment_id], filter_string="attributes.status = 'RUNNING'")
    known = {v["version"]: v for v in stores.records.versions(MODEL)}
    packages = {p.name for p in stores.package_folder(MODEL, "").iterdir()}
    registered = registry.client.search_model_versions(f"name = '{MODEL}'")
    entries = ledger.entries(stores.control, stores.namespace)
    decided = [e for e in entries if (e["kind"], e["window"]) == ("decision", night)]
    verdict = stores.records.verdict(MODEL, "decision", night)
    package = stores.champion(MODEL)
    return {
        "done": first.done, "owed": first.owed, "again": again.done, "seconds": took,
        "champion": plan.champion, "digest": plan.champion_digest == known[plan.champion]["digest"],
        "loads": package is not None and package[0] == plan.champion,
        "statuses": {v: r["status"] for v, r in known.items()},
        "alias": int(registry.client.get_model_version_by_alias(MODEL, "champion").version),
        "running": len(runs), "unknown": sorted(int(v.version) for v in registered if int(v.version) not in known),
        "packages": sorted(packages - {r["digest"] for r in known.values()}),
        "missing": sorted({r["digest"] for r in known.values()} - packages),
        "chain": broken_at(entries), "decisions": len(decided),
        "decided": bool(verdict and (verdict.numbers["action"] != "nothing" or verdict.numbers["options"])),
    }  # fmt: skip


def main(what, home, work, night, first, every):
    k, finished = int(first), False
    while not finished:
        root = Path(work) / f"{what}-{k}"
        shutil.copytree(home, root, ignore=shutil.ignore_patterns("lake", "mlartifacts"))
        (root / "var" / "lake").symlink_to(Path(home) / "var" / "lake")

        def killed(root=root, k=k):
            armed(k)
            act(what, root, night)

        code = child(killed)
        if code not in (0, -signal.SIGKILL):
            raise SystemExit(f"step {k}: the child ended with {code}")
        finished = code == 0

        def told(root=root, k=k, finished=finished):
            print(json.dumps({"k": k, "finished": finished, **facts(root, night)}), flush=True)

        if child(told):
            raise SystemExit(f"step {k}: it cannot be reconciled")
        if what == "decide" and child(lambda root=root: act(what, root, night)):
            raise SystemExit(f"step {k}: it cannot be decided again")
        shutil.rmtree(root)
        k += int(every)


if __name__ == "__main__":
    main(*sys.argv[1:])
