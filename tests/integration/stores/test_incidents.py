import datetime as dt
import io
import json
import threading

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text

from tidegate.adapters import control as module
from tidegate.adapters.control import open_control
from tidegate.adapters.incidents import Incidents
from tidegate.adapters.mutes import Mutes
from tidegate.adapters.records import Records
from tidegate.alarms.incidents import Rules
from tidegate.alarms.severity import Mute
from tidegate.errors import StoreError, UsageError
from tidegate.verdicts import Effect, Signal

RULES = Rules("m", "d", "night", "night", 16, cooldown=14, close_after=2, caps={"night": 3})
EFFECT = Effect(0.03, "roc_auc", "roc_auc falls by 0.03", True)


def day(n):
    return (dt.date(2013, 5, 1) + dt.timedelta(days=n)).isoformat()


def signal(n, subject="distance", monitor="feature", **more):
    values = {"statistic": "ks", "kind": "gradual", "value": 0.1, "low": 0.08, "high": 0.12, "z": 5.0, "since": day(0),
              "persistent": True, "worse": True, "effect": EFFECT, "certified": True}  # fmt: skip
    return Signal(day(n), monitor, subject, **{**values, **more})


def fault(n):
    return signal(n, "batch", "quality", statistic="verdict", kind="fault", value=float("nan"), low=float("nan"),
                  high=float("nan"), effect=None, reason="NO_DATA")  # fmt: skip


@pytest.fixture
def incidents(control):
    return Incidents(control, "default")


@pytest.fixture
def night(incidents, known_at):
    def run(n, *signals, rules=RULES, later=0):
        at = known_at + dt.timedelta(days=later)
        return incidents.night(signals, rules, day(n), owner="o", known_at=at)

    return run


def test_a_night_stores_its_alarm_its_incident_and_what_happened(incidents, night, known_at):
    (alarm,) = night(0, signal(0), signal(0, "air_time"))
    assert Records(incidents.control, "default").alarms("m") == [alarm]
    (incident,) = incidents.listed()
    assert (incident.number, incident.revision, incident.text) == (1, 1, alarm.text)
    assert incident.members == ("air_time", "distance")
    assert [(h.event.what, h.event.by, h.at) for h in incidents.history(1)] == [("raised", "tidegate", known_at)]


def test_running_a_night_again_changes_nothing(incidents, night):
    first = [night(n, signal(n)) for n in range(2)]

    def state():
        with incidents.control.read() as c:
            return [c.exec_driver_sql(f"select * from {t}").all() for t in
                    ("alarms", "incidents", "incident_events", "verdicts")]  # fmt: skip

    before = state()
    assert [night(n, signal(n), later=9) for n in range(2)] == first
    assert state() == before


def test_an_incident_closes_and_its_number_is_not_used_again(incidents, night):
    night(0, signal(0))
    for n in (1, 2):
        night(n)
    assert incidents.listed() == []
    assert [i.status for i in incidents.listed(closed=True)] == ["closed"]
    assert night(30, signal(30))[0].incident == 2
    assert [h.event.what for h in incidents.history(1)] == ["raised", "closed"]


def test_a_restated_night_keeps_what_was_known(incidents, night, known_at):
    (alarm,) = night(0, signal(0))
    night(1)
    (again,) = night(0, signal(0, value=0.9, z=50.0), later=3)
    assert again == alarm
    with incidents.control.read() as c:
        assert c.execute(text("select count(*) from alarms")).scalar() == 1


def test_two_models_of_one_dataset_share_its_incident(incidents, night):
    assert [a.severity for a in night(0, fault(0))] == ["page"]
    other = Rules("m2", "d", "night", "night", 16, cooldown=14, close_after=2, caps={"night": 3})
    assert night(0, fault(0), rules=other) == []
    (incident,) = incidents.listed()
    assert (incident.about, set(incident.quiet)) == ("dataset d", {"m", "m2"})
    # Their own troubles stay apart, and count against the one cap of those who are woken.
    tight = Rules("m2", "d", "night", "night", 16, cooldown=14, close_after=2, caps={"night": 1})
    night(1, signal(1))
    (alarm,) = night(1, signal(1, "air_time"), rules=tight)
    assert (alarm.severity, alarm.why_not_page) == ("ticket", "night had 1 pages on this night, its cap")


def test_each_group_of_a_shared_dataset_is_woken_once(incidents, night):
    def rules(model, group):
        return Rules(model, "d", group, group, 16, cooldown=14, close_after=2, caps={group: 3})

    for n, expected in ((0, ["page", "page"]), (1, [])):
        found = [a for pair in (("m", "day"), ("m2", "evening")) for a in night(n, fault(n), rules=rules(*pair))]
        assert [a.severity for a in found] == expected
    (incident,) = incidents.listed()
    assert (incident.group, sorted(incident.groups)) == ("day", ["day", "evening"])
    assert {told.fault for told in incident.groups.values()} == {day(1)}


def test_a_night_that_was_missed_is_late_and_not_restated(incidents, night):
    night(0)
    night(5)
    assert incidents.standing(RULES, day(2)).judged is False
    assert [a.severity for a in night(2, fault(2))] == ["page"]
    assert incidents.standing(RULES, day(3)).before(day(3)) == day(2)
    assert night(3, fault(3)) == []
    (alarm,) = night(4, signal(4))
    assert (alarm.severity, alarm.why_not_page) == ("ticket", f"judged late: nights up to {day(5)} were judged before")
    assert night(4, signal(4)) == [alarm]
    assert [a.severity for a in night(2, fault(2), signal(2, "temp"))] == ["page", "digest"]  # restated


def test_an_incident_of_before_groups_were_kept_is_not_told_again(incidents, night):
    night(0, signal(0))
    with incidents.control.write() as c:
        c.execute(text("update incidents set body = json_remove(body, '$.groups')"))
    told = incidents.get(1).groups["night"]
    assert (told.severity, told.paged, told.keys) == ("page", day(0), ("feature/distance/ks",))
    assert night(9, signal(9)) == []
    assert [a.members for a in night(10, signal(10), signal(10, "air_time"))] == [("air_time",)]


def test_namespaces_are_apart(incidents, night, control):
    night(0, signal(0))
    assert Incidents(control, "other").listed(closed=True) == []
    with pytest.raises(UsageError, match=r"incident 1: expected one that exists.*Next: look at tidegate incidents"):
        Incidents(control, "other").get(1)


def test_what_a_person_does_is_kept_with_who_and_when(incidents, night, known_at):
    night(0, signal(0))
    taken = incidents.change(incidents.get(1), "acknowledged", by="ann", at=known_at, note="looking")
    assert (taken.status, incidents.get(1)) == ("acknowledged", taken)
    with pytest.raises(UsageError, match="expected --until after 2013-05-01"):
        incidents.change(taken, "snoozed", by="ann", at=known_at, until=day(0))
    snoozed = incidents.change(taken, "snoozed", by="ann", at=known_at, until=day(4), note="sleep")
    closed = incidents.change(snoozed, "closed", by="bob", at=known_at, note="mended")
    with pytest.raises(UsageError, match="found closed by bob"):
        incidents.change(closed, "acknowledged", by="ann", at=known_at)
    assert [(h.event.what, h.event.by, h.event.note) for h in incidents.history(1)][1:] == [
        ("acknowledged", "ann", "looking"), ("snoozed", "ann", "until 2013-05-05: sleep"), ("closed", "bob", "mended"),
    ]  # fmt: skip
    assert night(1, signal(1))[0].incident == 2  # closed by a person: news


def test_of_two_people_at_once_one_is_told_that_the_other_was_first(incidents, night, known_at):
    night(0, signal(0))
    seen, barrier, said = incidents.get(1), threading.Barrier(8), []

    def act(name):
        barrier.wait()
        try:
            incidents.change(seen, "acknowledged", by=name, at=known_at)
            said.append("done")
        except StoreError as fault:
            said.append(str(fault))

    threads = [threading.Thread(target=act, args=(f"p{i}",)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert said.count("done") == 1
    assert all("revision 1, found 2, acknowledged: somebody else was first" in s for s in said if s != "done")
    assert len(incidents.history(1)) == 2


def test_the_events_refuse_changes(incidents, night):
    night(0, signal(0))
    for change in ("update incident_events set note = ''", "delete from incident_events"):
        with pytest.raises(StoreError, match="append-only"), incidents.control.write() as c:
            c.exec_driver_sql(change)


def test_a_mute_lowers_from_now_on_and_ends(control, night, known_at):
    mutes = Mutes(control, "default")
    wish = Mute("m", "distance", day(5), "ann", "new airports")
    mutes.add(wish, owner="o", at=known_at)
    mutes.add(wish, owner="o", at=known_at)
    assert mutes.of("m") == (wish,)
    assert mutes.of("m2") == Mutes(control, "other").of("m") == ()
    assert [a.severity for a in night(0, signal(0))] == ["digest"]
    mutes.end("m", "distance", by="bob", at=known_at)
    assert [a.severity for a in night(1, signal(1))] == ["page"]
    with pytest.raises(UsageError, match="expected a muted subject"):
        mutes.end("m", "distance", by="bob", at=known_at)
    with control.read() as c:
        assert c.execute(text("select ended_by from mutes order by id")).scalars().all() == ["ann", "bob"]


def test_a_kill_in_the_middle_of_a_night_leaves_nothing_of_it(incidents, night, monkeypatch):
    with monkeypatch.context() as m:
        m.setattr(Incidents, "_append", lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            night(0, signal(0))
    assert incidents.listed() == Records(incidents.control, "default").alarms("m") == []
    assert len(night(0, signal(0))) == 1


def test_a_home_of_before_there_were_incidents_keeps_its_alarms(tmp_path, known_at):
    engine = create_engine(f"sqlite:///{tmp_path / 'control.db'}")
    event.listen(engine, "connect", lambda c, _: setattr(c, "isolation_level", None))
    body = {"since": "2013-02-27", "text": "PSI 0.4", "next_command": "tidegate findings m 2013-03-01"}
    with engine.connect() as c:
        config = Config()
        config.set_main_option("script_location", str(module.Path(module.__file__).parent / "migrations"))
        config.attributes["connection"] = c
        command.upgrade(config, "0001")
        for window in ("2013-03-01", "2013-03-09"):
            c.execute(
                text("insert into alarms (namespace, owner, model, window, monitor, subject, severity, body, known_at)"
                     " values ('default', 'o', 'm', :w, 'feature', 'distance', 'digest', :b, '2013-03-02 05:00:00')"),
                {"w": window, "b": json.dumps(body)},
            )  # fmt: skip
        c.commit()
    engine.dispose()
    records = Records(open_control(tmp_path), "default")
    old = records.alarms("m")
    assert [(a.window, a.subject, a.severity, a.text) for a in old] == [
        ("2013-03-01", "distance", "digest", "PSI 0.4"), ("2013-03-09", "distance", "digest", "PSI 0.4"),
    ]  # fmt: skip
    assert (old[0].cause, old[0].incident, old[0].members) == ("", None, ())
    records.put_alarms("m", "o", old, known_at)
    assert records.alarms("m") == old
    (alarm,) = Incidents(records.control, "default").night(
        [signal(0)], RULES, day(0), owner="o", known_at=known_at
    )  # fmt: skip
    assert records.alarms("m") == [*old, alarm]


def test_the_migration_is_sql_for_postgresql_too():
    sql = io.StringIO()
    opts = {"as_sql": True, "output_buffer": sql}
    migration = MigrationContext.configure(dialect_name="postgresql", opts=opts)
    folder = str(module.Path(module.__file__).parent / "migrations")
    with Operations.context(migration):
        ScriptDirectory(folder).get_revision("0002").module.upgrade()
    text = " ".join(sql.getvalue().split())
    assert "ALTER TABLE alarms DROP CONSTRAINT one_alarm" in text
    assert "CREATE TABLE incidents" in text
    assert "TRIGGER" not in text


def test_standing_does_not_grow_with_history(incidents, night):
    for n in range(0, 400, 20):
        night(n, signal(n))
        night(n + 1)
        night(n + 2)
    standing = incidents.standing(RULES, day(400))
    assert standing.next_number == 21
    assert len(standing.incidents) <= 1
    assert len(standing.alarms) <= 1
