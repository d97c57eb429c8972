"""The deployment files of a home and of this repository."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tidegate.config.home import Home
from tidegate.deploy.documents import KINDS
from tidegate.steps.deadman import deployed, overdue
from tidegate.steps.deploying import old, planned, write
from tidegate.steps.due import done_windows, due_windows, finish
from tidegate.steps.stores import stores_of

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def home(make_wine, tmp_path):
    root = make_wine(tmp_path / "home", 1, 9)
    model = root / "configs/models/cultivars.yaml"
    (root / "configs/models/second.yaml").write_text(model.read_text() + 'schedule: "30 4 * * 1-5"\n')
    return Home.at(root)


def test_the_repositorys_own_files_are_what_its_models_say():
    assert old(Home.at(REPOSITORY), planned(Home.at(REPOSITORY))) == []


def test_the_files_say_who_runs_when_and_one_at_a_time(home):
    write(home, planned(home))
    made = yaml.safe_load((home.root / "deployments/prefect.yaml").read_text())
    known = {f"{d['entrypoint'].split('.')[1]}/{d['name']}": d for d in made["deployments"]}
    assert {n for n in known if n.startswith(("nightly/", "retrain/"))} == {
        "nightly/cultivars", "nightly/second", "retrain/cultivars", "retrain/second",
    }  # fmt: skip
    assert known["nightly/second"]["schedules"][0] | {"slug": ""} == {
        "cron": "30 4 * * 1-5", "timezone": "UTC", "slug": "", "active": True,
    }  # fmt: skip
    assert known["retrain/second"]["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert known["nightly/second"]["concurrency_limit"]["collision_strategy"] == "ENQUEUE"
    assert known["nightly/second"]["parameters"]["request"] == {"home": "{{ $TIDEGATE_HOME }}", "model": "second"}
    assert str(home.root) not in json.dumps(made)
    flows = {p.stem for p in (REPOSITORY / "flows").glob("*.py")}
    assert {n.partition("/")[0] for n in known} == {k.flow for k in KINDS if k.flow in flows}
    wanted = yaml.safe_load((home.root / "deployments/automations.yaml").read_text())["automations"]
    named = {a["deployment"] for one in wanted for a in one["actions"] if "deployment" in a}
    assert named == {"retrain/cultivars", "retrain/second", "failure/failure"}
    # A process can be killed before its first heartbeat is out, and before it began at all.
    clocks = [one["trigger"]["after"] for one in wanted if one["trigger"]["posture"] == "Proactive"]
    assert [a[0] for a in clocks] == ["prefect.flow-run.Running", "prefect.flow-run.Pending"]


def test_a_model_that_changed_makes_the_files_old(home):
    write(home, planned(home))
    assert old(home, planned(home)) == []
    model = home.root / "configs/models/second.yaml"
    model.write_text(model.read_text().replace("30 4", "31 4"))
    assert old(home, planned(home)) == ["prefect.yaml"]


@pytest.mark.parametrize(
    ("line", "key"),
    [("time_zone: Europe/Berln", "Europe/Berlin"), ("time_zone: Mars/Base", "IANA"), ("time_zone: 5", "found 5")],
)
def test_a_wrong_time_zone_is_named_and_the_other_models_are_deployed(home, line, key):
    data = (home.root / "configs/datasets/tastings.yaml").read_text()
    calendar = f"calendar: {{{line}}}\n"
    (home.root / "configs/datasets/elsewhere.yaml").write_text(data + calendar)
    model = (home.root / "configs/models/cultivars.yaml").read_text()
    (home.root / "configs/models/third.yaml").write_text(model.replace("dataset: tastings", "dataset: elsewhere"))
    plan = planned(home)
    assert plan.models == ("cultivars", "second")
    assert list(plan.wrong) == ["third"]
    assert "elsewhere.yaml: calendar.time_zone" in str(plan.wrong["third"])
    assert key in str(plan.wrong["third"])


def test_a_cron_line_that_never_comes_is_named(home):
    model = home.root / "configs/models/second.yaml"
    model.write_text(model.read_text().replace("30 4 * * 1-5", "30 4 31 2 *"))
    plan = planned(home)
    assert plan.models == ("cultivars",)
    assert "cron line" in str(plan.wrong["second"])


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("zone", "change"),
    [("America/New_York", "2013-03-10"), ("Europe/Berlin", "2013-10-27"), ("Australia/Lord_Howe", "2013-04-07"),
     ("Pacific/Apia", "2011-12-30"), ("Africa/Casablanca", "2013-07-07")],
)  # fmt: skip
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 0 * * *"])
def test_prefects_own_moments_do_each_window_once_whatever_the_clock_does(home, zone, change, cron):
    """The schedule as it is deployed, at the moments at which Prefect starts its runs."""
    from prefect.server.schemas.schedules import CronSchedule

    data = home.root / "configs/datasets/tastings.yaml"
    data.write_text(data.read_text() + f"calendar: {{time_zone: {zone}}}\n")
    path = home.root / "configs/models/second.yaml"
    path.write_text(path.read_text().replace("30 4 * * 1-5", cron))
    made = next(d for d in planned(home).deployments if d["entrypoint"].endswith("nightly") and d["name"] == "second")
    [line] = made["schedules"]
    assert line["timezone"] == zone
    stores = stores_of(home)
    model = stores.project.model("second")
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    day = date.fromisoformat(change)
    start = calendar.window(day - timedelta(days=2))
    finish(stores, model, calendar.shift(start, -1), start.start)
    schedule = CronSchedule(cron=line["cron"], timezone=line["timezone"])
    told, each = [], []
    for at in asyncio.run(schedule.get_dates(7, start=start.start + timedelta(minutes=1))):
        found = due_windows(stores, model, at)
        told += [w.id for w in found]
        each.append(len(found))
        for window in found:
            finish(stores, model, window, at)
    # The first run may come before the first night is over; after that each has one.
    assert set(each[1:]) == {1}
    assert told == [w.id for w in calendar.range(start.id, told[-1]) if w.start < w.end]
    assert told[0] == start.id
    assert date.fromisoformat(told[-1]) >= day + timedelta(days=2)


@pytest.mark.fault(26)
def test_the_dead_mans_switch_pages_once(home):
    stores = stores_of(home)
    model, second = stores.project.model("cultivars"), stores.project.model("second")
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    night = calendar.window("2024-01-15")
    ran = datetime(2024, 1, 16, 6, tzinfo=UTC)
    # Models that never had a night, and nobody deployed.
    assert overdue(stores, ran + timedelta(days=9)) == ()
    finish(stores, model, night, ran)
    assert overdue(stores, ran + timedelta(days=1, hours=11)) == ()
    [found] = overdue(stores, ran + timedelta(days=2) - timedelta(minutes=1))
    assert (found.model, found.window, found.nights) == ("cultivars", "2024-01-16", 1)
    [alarm] = found.alarms
    assert (alarm.severity, alarm.cause, alarm.about) == ("page", "service", "model cultivars")
    assert "tidegate nightly cultivars --window 2024-01-16" in alarm.next_command
    for minutes in range(1, 30, 7):
        [again] = overdue(stores, ran + timedelta(days=2, minutes=minutes))
        assert again.alarms == ()
    assert len(stores.incidents.listed()) == 1
    # One that has been deployed for long and never ran is missed too.
    deployed(home, ["cultivars", "second"])
    assert second.name in (home.state / "up/deployed.json").read_text()
    (home.state / "up/deployed.json").write_text(json.dumps({"second": "2024-01-10T00:00:00+00:00"}))
    assert [o.model for o in overdue(stores, ran + timedelta(days=2, hours=1))] == ["cultivars", "second"]


def test_nights_that_were_decided_on_before_they_were_marked_are_done(home):
    from tidegate.verdicts import Verdict

    stores = stores_of(home)
    model = stores.project.model("cultivars")
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    now = datetime(2024, 1, 10, 7, tzinfo=UTC)
    for day in (3, 4, 6):
        stores.records.put_verdict("cultivars", "decision", f"2024-01-0{day}", Verdict("pass"), now)
    assert [w.id for w in due_windows(stores, model, now)] == [f"2024-01-0{d}" for d in (5, 7, 8, 9)]
    # From the first mark on only marks count: what was decided and then cut short is not done.
    finish(stores, model, calendar.window("2024-01-05"), now)
    assert done_windows(stores, model) == {"2024-01-03", "2024-01-04", "2024-01-05"}
