"""What the tests of races and kills run in processes of their own: `actors.py WHAT STATE …`."""

import datetime as dt
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

from tidegate.adapters.control import open_control
from tidegate.adapters.lake import Lake
from tidegate.adapters.leases import Leases
from tidegate.adapters.plans import Plans
from tidegate.errors import PlanConflict, StaleToken, TidegateError

AT = dt.datetime(2013, 3, 2, tzinfo=dt.UTC)
fork = multiprocessing.get_context("fork")


def crowd(count, act):
    """Run `act(i, barrier)` in `count` forked processes; returns what they answered."""
    barrier, answers = fork.Barrier(count), fork.SimpleQueue()
    processes = [fork.Process(target=lambda i=i: answers.put(act(i, barrier))) for i in range(count)]
    for p in processes:
        p.start()
    found = [answers.get() for _ in processes]
    for p in processes:
        p.join()
    return found


def say(value):
    print(json.dumps(value), flush=True)


def opening(state, count):
    def act(i, barrier):
        barrier.wait()
        try:
            with open_control(state).write() as c:
                c.exec_driver_sql("select 1")
        except TidegateError as fault:
            return str(fault)
        return "opened"

    say(crowd(int(count), act))


def race(state, count, rounds):
    def act(i, barrier):
        leases, won = Leases(open_control(state), "default", ttl=600), []
        for number in range(int(rounds)):
            barrier.wait()
            if leases.acquire(f"retrain-{number}"):
                won.append(number)
        return won

    say(crowd(int(count), act))


def swap(state, count):
    def act(i, barrier):
        plans = Plans(open_control(state), "default")
        seen = plans.get("m")
        barrier.wait()
        try:
            plans.swap(seen, type(seen)("m", champion=i), owner=f"o{i}", window=None, at=AT, why={})
        except PlanConflict as fault:
            return str(fault)
        return i

    say(crowd(int(count), act))


def hold(state, ttl):
    say(Leases(open_control(state), "default", float(ttl)).acquire("retrain").token)
    time.sleep(60)


def zombie(state, ttl):
    """Write with one lease for as long as it is let: windows to the lake, revisions to the plan."""
    control = open_control(state)
    lease = Leases(control, "default", float(ttl)).acquire("retrain")
    lake, plans = Lake(state, control, "default"), Plans(control, "default")
    refused = []
    say("holding")
    for n in range(1, 100_000):
        for write in (
            lambda n=n: lake.put("batch", "zombie", "2013-03-01", pa.table({"n": [n]}), AT, lease),
            lambda: plans.swap(plans.get("m"), plans.get("m"), owner="zombie", window=None, at=AT, why={}, lease=lease),
        ):
            try:
                write()
            except StaleToken as fault:
                refused.append(str(fault))
        if refused:
            break
    say(refused)


def windows(state, day, values):
    """Write one window of a table over and over, values separated by commas."""
    try:
        lake = Lake(state, open_control(state), "default")
        for value in values.split(","):
            lake.put("batch", "shared", day, pa.table({"n": [int(value)]}), AT)
    except TidegateError as fault:
        say(str(fault))
        sys.exit(fault.exit_code)
    say("done")


def killed(state):
    """Die between the Delta commit and the row in control."""
    lake = Lake(state, open_control(state), "default")
    commit = lake._commit

    def and_die(*args):
        commit(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    lake._commit = and_die
    lake.put("batch", "flights", "2013-03-01", pa.table({"n": [2]}), AT)


if __name__ == "__main__":
    what, state, *rest = sys.argv[1:]
    globals()[what](Path(state), *rest)
