import datetime as dt
import json
import sqlite3
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from tidegate.adapters import control as module
from tidegate.adapters.control import Control, open_control
from tidegate.adapters.schema import grids, metadata
from tidegate.errors import StoreError, UsageError


def test_the_migrations_make_exactly_the_schema(control):
    with control.read() as c:
        assert compare_metadata(MigrationContext.configure(c, opts={"compare_type": True}), metadata) == []
    folder = module.Path(module.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_heads() == [module.HEAD]


def test_the_migration_does_not_follow_the_schema(tmp_path):
    source = next((module.Path(module.__file__).parent / "migrations" / "versions").glob("0001*")).read_text()
    assert "tidegate" not in source


def test_five_processes_open_one_new_folder_at_once(actor, tmp_path):
    for attempt in range(2):
        out, _ = actor("opening", tmp_path / str(attempt), 5).communicate(timeout=60)
        assert json.loads(out) == ["opened"] * 5


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_a_schema_of_another_tidegate_is_refused(tmp_path, version):
    with open_control(tmp_path).write() as c:
        c.execute(text("update alembic_version set version_num = :v"), {"v": version})
    with pytest.raises(StoreError, match=rf"control\.db: expected schema {module.HEAD}.*found '{version}'.*Next: use"):
        Control(f"sqlite:///{tmp_path / 'control.db'}")


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path):
    (tmp_path / "control.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(StoreError, match=r"control\.db: .*found file is not a database") as fault:
        open_control(tmp_path)
    assert "\n" not in str(fault.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"state folder .*file/var.*Not a directory"):
        open_control(tmp_path / "file" / "var")


def test_a_failed_transaction_leaves_nothing(control, known_at):
    row = {"namespace": "n", "owner": "o", "name": "g", "digest": "d", "body": {}, "known_at": known_at}
    with pytest.raises(StoreError, match="no such table"), control.write() as c:  # noqa: PT012
        c.execute(insert(grids).values(**row))
        c.exec_driver_sql("select * from nowhere")
    with control.write() as c:
        assert c.execute(select(grids)).all() == []
        c.execute(insert(grids).values(**row))
    with pytest.raises(StoreError, match="UNIQUE constraint failed"), control.write() as c:
        c.execute(insert(grids).values(**row))


def test_moments_come_back_in_utc_and_naive_ones_are_refused(control):
    east = dt.datetime(2013, 3, 1, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    row = {"namespace": "n", "owner": "o", "name": "g", "digest": "d", "body": {}}
    with control.write() as c:
        c.execute(insert(grids).values(**row, known_at=east))
    with control.read() as c:
        found = c.execute(select(grids.c.known_at)).scalar_one()
        assert c.execute(select(grids).where(grids.c.known_at <= east)).all()
        assert not c.execute(select(grids).where(grids.c.known_at < east)).all()
    assert found == east
    assert found.utcoffset() == dt.timedelta(0)
    with pytest.raises(UsageError, match="timezone-aware"), control.write() as c:
        c.execute(insert(grids).values(**row, known_at=dt.datetime(2013, 3, 1)))


def test_a_database_locked_by_another_is_a_store_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    control = open_control(tmp_path)
    other = sqlite3.connect(tmp_path / "control.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"), control.write():
        pass
    with control.read() as c:  # WAL: readers go on
        assert c.execute(select(grids)).all() == []
    other.close()


def test_a_folder_made_anew_is_opened_anew(tmp_path):
    first = open_control(tmp_path / "var")
    assert open_control(tmp_path / "var") is first
    (tmp_path / "var").rename(tmp_path / "old")
    second = open_control(tmp_path / "var")
    assert second is not first
    with second.write() as c:
        c.execute(text("update alembic_version set version_num = version_num"))
    assert (tmp_path / "var" / "control.db").is_file()


def test_threads_share_a_control(control):
    def add(n):
        with control.write() as c:
            seen = c.execute(text("select count(*) from leases")).scalar_one()
            c.execute(text("insert into leases values ('n', 'o', :n, :t, 'h', 0)"), {"n": str(n), "t": seen})

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with control.read() as c:
        assert c.execute(text("select token from leases order by token")).scalars().all() == list(range(8))
