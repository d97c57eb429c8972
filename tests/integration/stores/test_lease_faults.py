import json
import os
import signal
import time
from collections import Counter

import pyarrow as pa
import pytest
from sqlalchemy import select

from tidegate.adapters import ledger
from tidegate.adapters.lake import Lake
from tidegate.adapters.leases import Leases, check_token
from tidegate.adapters.plans import Plans
from tidegate.adapters.schema import windows
from tidegate.errors import PlanConflict, StaleToken, UsageError
from tidegate.lineage.chain import broken_at
from tidegate.rollout.plan import ServingPlan


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_one_holder_at_a_time_and_growing_tokens(control):
    clock = Clock()
    leases = Leases(control, "default", 10, clock)
    first = leases.acquire("retrain")
    assert leases.acquire("retrain") is None
    assert leases.acquire("other").token == 1
    assert Leases(control, "elsewhere", 10, clock).acquire("retrain").token == 1
    clock.now += 9
    leases.renew(first)
    clock.now += 9
    assert leases.acquire("retrain") is None
    clock.now += 1
    second = leases.acquire("retrain")
    assert second.token == first.token + 1
    with pytest.raises(StaleToken, match="token 2 of "):
        leases.renew(first)
    leases.release(first)  # a lost lease is not given back for the new holder
    assert leases.acquire("retrain") is None
    leases.release(second)
    assert leases.acquire("retrain").token == 3


def test_an_expired_lease_is_stale_even_if_nobody_took_it(control):
    clock = Clock()
    leases = Leases(control, "default", 10, clock)
    lease = leases.acquire("retrain")
    with control.read() as c:
        check_token(c, lease, clock.now)
    with pytest.raises(StaleToken, match=r"expired 0\.0 s ago"), control.read() as c:
        check_token(c, lease, clock.now + 10)
    leases.release(lease)
    with pytest.raises(StaleToken, match="given back"), control.read() as c:
        check_token(c, lease, clock.now)


def test_holding_and_waiting_give_back_after_a_fault(control):
    leases = Leases(control, "default", 60)
    with pytest.raises(KeyError), leases.holding("a") as held, leases.holding("a") as refused:  # noqa: PT012
        assert held
        assert refused is None
        raise KeyError
    with pytest.raises(KeyError), leases.waiting("a"):
        raise KeyError
    assert leases.acquire("a").token == 3


def test_waiting_goes_on_when_the_holder_is_done(control):
    clock = Clock()
    leases = Leases(control, "default", 10, clock)
    leases.acquire("a")

    def later():
        clock.now += 4
        return clock.now

    with Leases(control, "default", 10, later).waiting("a", poll=0) as lease:
        assert lease.token == 2


@pytest.mark.fault(1)
def test_twenty_processes_one_trigger_one_run(actor, tmp_path, control):
    out, _ = actor("race", tmp_path / "var", 20, 100).communicate(timeout=60)
    winners = Counter(number for won in json.loads(out) for number in won)
    assert winners == dict.fromkeys(range(100), 1)


@pytest.mark.fault(2)
def test_a_killed_holder_blocks_for_at_most_its_ttl(actor, tmp_path, control):
    ttl = 30.0
    holder = actor("hold", tmp_path / "var", ttl)
    assert holder.stdout.readline() == "1\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    killed = time.time()
    assert Leases(control, "default", ttl, clock=lambda: killed).acquire("retrain") is None
    assert Leases(control, "default", ttl, clock=lambda: killed + ttl).acquire("retrain").token == 2


@pytest.mark.fault(3)
@pytest.mark.parametrize("after", [0.0, 0.05])
def test_a_zombie_writes_nothing_with_its_stale_token(actor, tmp_path, control, known_at, after):
    ttl = 1.0
    zombie = actor("zombie", tmp_path / "var", ttl)
    assert json.loads(zombie.stdout.readline()) == "holding"
    time.sleep(after)  # stopped at various points of its work
    os.kill(zombie.pid, signal.SIGSTOP)
    with Leases(control, "default", 60).waiting("retrain") as lease:
        lake, plans = Lake(tmp_path / "var", control, "default"), Plans(control, "default")
        mine = pa.table({"n": [-1]})
        lake.put("batch", "zombie", "2013-03-01", mine, known_at, lease)
        before = plans.get("m")
        plan = plans.swap(before, before, owner="new", window=None, at=known_at, why={}, lease=lease)
        os.kill(zombie.pid, signal.SIGCONT)
        out, _ = zombie.communicate(timeout=30)
    assert all(f"token {lease.token - 1} in force" in line for line in json.loads(out))
    assert plans.get("m") == plan
    assert lake.read("batch", "zombie")["n"].to_pylist() == [-1]
    with control.read() as c:
        assert c.execute(select(windows.c.rows).order_by(windows.c.id.desc())).first() == (1,)
    assert [e["owner"] for e in ledger.entries(control, "default")][-1] == "new"
    # What a zombie left in the Delta log is put right by the next write of the same content.
    lake.put("batch", "zombie", "2013-03-01", mine, known_at)
    from deltalake import DeltaTable

    uris = DeltaTable(str(lake.path("batch", "zombie"))).file_uris()
    assert {uri.rpartition("/")[2] for uri in uris} == {
        name.rpartition("/")[2] for name in lake.stored("batch", "zombie", "2013-03-01").files
    }


@pytest.mark.fault(6)
def test_fifty_swaps_one_winner_and_losers_told_why(actor, tmp_path, control):
    out, _ = actor("swap", tmp_path / "var", 50).communicate(timeout=60)
    answers = json.loads(out)
    (winner,) = [a for a in answers if isinstance(a, int)]
    told = [a for a in answers if isinstance(a, str)]
    assert len(told) == 49
    assert all(f"expected revision 0, found 1 by o{winner} at 2013" in line for line in told)
    assert Plans(control, "default").get("m") == ServingPlan("m", 1, winner)
    (entry,) = ledger.entries(control, "default")
    assert entry["body"]["to"]["champion"] == winner


def test_a_plan_goes_with_its_ledger_row_or_not_at_all(control, known_at, monkeypatch):
    plans = Plans(control, "default")
    more = {"owner": "o", "window": "2013-03-01", "at": known_at, "why": {"gate": "pass"}}
    first = plans.swap(plans.get("m"), ServingPlan("m", champion=1, champion_digest="d"), **more)
    second = plans.swap(first, ServingPlan("m", champion=1, challenger=2, mode="shadow", weight=0.1), **more)
    assert plans.get("m") == second
    assert second.revision == 2
    with pytest.raises(PlanConflict, match="found 2 by o"):
        plans.swap(first, first, **more)
    with pytest.raises(UsageError, match="same model"):
        plans.swap(second, ServingPlan("other"), **more)

    def broken(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as m:
        m.setattr(ledger, "append", broken)
        with pytest.raises(RuntimeError):
            plans.swap(second, ServingPlan("m"), **more)
    assert plans.get("m") == second
    assert [e["body"]["to"]["revision"] for e in ledger.entries(control, "default", "m", "plan")] == [1, 2]
    assert broken_at(ledger.entries(control, "default")) is None


def test_an_expired_lease_swaps_no_plan(control, known_at):
    lease = Leases(control, "default", ttl=-1).acquire("retrain")
    plans = Plans(control, "default")
    with pytest.raises(StaleToken):
        plans.swap(plans.get("m"), ServingPlan("m"), owner="o", window=None, at=known_at, why={}, lease=lease)
    assert plans.get("m").revision == 0
