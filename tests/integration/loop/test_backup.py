"""A backup of a home, restored into an empty folder, goes on as the home does."""

import json
import shutil
import tarfile
import threading

import pytest

from tidegate.adapters.archive import MANIFEST, unpack, writing
from tidegate.clock import evening_of
from tidegate.errors import IntegrityError, StoreError, UsageError
from tidegate.steps.backup import back_up, restore


@pytest.fixture(scope="module")
def cellar(make_wine, loop_of, tmp_path_factory):
    """Fourteen nights, of sixteen that there are; the first champion decides."""
    loop = loop_of(make_wine(tmp_path_factory.mktemp("cellar"), 16, 99), "cultivars")
    for i in range(14):
        loop.night(i)
    return loop


@pytest.fixture(scope="module")
def archive(cellar, tmp_path_factory):
    file = tmp_path_factory.mktemp("kept") / "cellar.tar"
    done = back_up(cellar.stores, file, evening_of(cellar.calendar.window("2024-01-14")))
    assert (done.damaged, done.file.stat().st_mode & 0o777) == ((), 0o600)
    return file


def facts(loop):
    """What control says of every window, and of the model."""
    with loop.stores.control.read() as c:
        from sqlalchemy import select

        from tidegate.adapters.schema import windows

        held = {(r.table, r.owner, r.window): (r.digest, r.rows) for r in c.execute(select(windows))}
    versions = [(v["version"], v["digest"], v["status"]) for v in loop.stores.records.versions(loop.name)]
    return held, versions, loop.stores.plans.get(loop.name)


def test_a_restored_home_continues_with_the_next_night_as_the_first_one_does(
    cellar, archive, loop_of, tmp_path, monkeypatch
):
    first = tmp_path / "first"
    shutil.copytree(cellar.root, first)
    home = restore(archive, tmp_path / "second" / "home")
    # Data is read from where it comes from; what is in the home as data files is not in the backup.
    for data in first.iterdir():
        if data.name != "var" and not (home.root / data.name).exists():
            (shutil.copytree if data.is_dir() else shutil.copy)(data, home.root / data.name)
    one, two = loop_of(first, "cultivars"), loop_of(home.root, "cultivars")
    assert facts(one) == facts(two)
    for loop in (one, two):
        for i in (14, 15):
            done = loop.night(i)
            assert done["quality"].passed
            assert done["scored"]
    assert facts(one) == facts(two)
    assert one.stores.lake.read("inferences", "cultivars").equals(two.stores.lake.read("inferences", "cultivars"))
    # The registry is there as well: the package comes from it when the local one is gone.
    version, package = two.stores.champion("cultivars")
    shutil.rmtree(two.root / "var" / "packages")
    shutil.move(cellar.root / "var" / "mlartifacts", cellar.root / "var" / "away")
    try:
        assert two.stores.package("cultivars", version, package.digest).digest == package.digest
    finally:
        shutil.move(cellar.root / "var" / "away", cellar.root / "var" / "mlartifacts")


def test_a_backup_of_a_busy_home_is_of_one_instant(cellar, tmp_path):
    busy, over = tmp_path / "busy", threading.Event()
    shutil.copytree(cellar.root, busy)
    loop = type(cellar)(busy, "cultivars")
    table = loop.stores.lake.read("inferences", "cultivars").drop_columns(["window"])
    faults, written = [], []

    def write():
        k = 0
        while not over.is_set():
            k += 1
            try:
                loop.stores.lake.put("metrics", "cultivars", f"2023-01-{k % 28 + 1:02}", table.slice(0, k % 50 + 1),
                                     evening_of(loop.calendar.window("2024-01-14")))  # fmt: skip
                written.append(k)
            except Exception as fault:
                faults.append(fault)
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(3):
            done = back_up(loop.stores, tmp_path / f"{n}.tar", evening_of(loop.calendar.window("2024-01-14")))
            assert done.damaged == ()
    finally:
        over.set()
        writer.join(timeout=60)
    assert not faults
    assert len(written) > 3
    home = restore(tmp_path / "2.tar", tmp_path / "again")
    again = type(cellar)(home.root, "cultivars")
    assert again.stores.lake.read("metrics", "cultivars").num_rows


def test_a_damaged_file_of_the_lake_is_told(cellar, tmp_path):
    hurt = tmp_path / "hurt"
    shutil.copytree(cellar.root, hurt)
    loop = type(cellar)(hurt, "cultivars")
    stored = loop.stores.lake.stored("inferences", "cultivars", "2024-01-14")
    (name,) = stored.files
    path = loop.stores.lake.path("inferences", "cultivars") / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    done = back_up(loop.stores, tmp_path / "hurt.tar", evening_of(loop.calendar.window("2024-01-14")))
    (said,) = done.damaged
    assert name in said
    assert "not what was recorded" in said


def test_an_archive_with_any_byte_changed_is_refused_and_leaves_nothing(archive, tmp_path):
    whole = archive.read_bytes()
    manifest = unpack(archive, None)
    places = []
    with tarfile.open(archive) as tar:
        members = [m for m in tar.getmembers() if m.size and m.name != MANIFEST]
        places = [m.offset_data + m.size // 2 for m in members[:: max(1, len(members) // 8)]]
    assert len(manifest["members"]) > 20
    for at in (*places, len(whole) // 2):
        bad = bytearray(whole)
        bad[at] ^= 0x40
        (tmp_path / "bad.tar").write_bytes(bad)
        with pytest.raises(IntegrityError):
            restore(tmp_path / "bad.tar", tmp_path / "home")
        assert [p.name for p in (tmp_path / "home").iterdir()] == []
    for cut in (len(whole) // 3, len(whole) - 11_000, 0):
        (tmp_path / "bad.tar").write_bytes(whole[:cut])
        with pytest.raises(IntegrityError):
            restore(tmp_path / "bad.tar", tmp_path / "home")


@pytest.mark.fault(33)
@pytest.mark.parametrize("name", ["../out", "/etc/out", "state/../../out", "state\\..\\out"])
def test_no_name_leads_out_of_the_folder(name, tmp_path):
    (tmp_path / "x").write_text("x")
    with writing(tmp_path / "bad.tar") as archive:
        archive.add(tmp_path / "x", name)
        archive.close({"schema": "0001", "state_name": "var", "state": "/x"})
    with pytest.raises(IntegrityError, match="plain files below one folder"):
        restore(tmp_path / "bad.tar", tmp_path / "home")
    assert not (tmp_path / "out").exists()


def test_a_link_in_an_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        link = tarfile.TarInfo("state/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(IntegrityError, match="plain files"):
        restore(tmp_path / "bad.tar", tmp_path / "home")


def test_what_is_there_is_never_overwritten(cellar, archive, tmp_path):
    with pytest.raises(UsageError, match="without a home"):
        restore(archive, cellar.root)
    with pytest.raises(StoreError, match="a new file"):
        back_up(cellar.stores, archive, evening_of(cellar.calendar.window("2024-01-14")))
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="no state below it"):
        restore(archive, tmp_path)
    assert (tmp_path / "var" / "mine").read_text() == "mine"


def test_a_backup_of_a_newer_tidegate_is_refused(archive, tmp_path):
    parts = tmp_path / "parts"
    manifest = unpack(archive, parts)
    with writing(tmp_path / "new.tar") as made:
        for name in manifest["members"]:
            made.add(parts / name, name)
        made.close({**{k: v for k, v in manifest.items() if k != "members"}, "schema": "9999"})
    with pytest.raises(IntegrityError, match="schema 9999"):
        restore(tmp_path / "new.tar", tmp_path / "home")


def test_the_command_says_what_it_made_and_what_comes_next(tidegate, cellar, tmp_path):
    file = tmp_path / "a.tar"
    said = tidegate("--home", cellar.root, "backup", file)
    assert (said.code, "keep it where only you can read it" in said.out) == (0, True)
    assert json.loads(tidegate("backup", "--verify", file, "--json").out)["namespace"] == cellar.stores.namespace
    said = tidegate("restore", file, "--into", tmp_path / "b")
    assert "cultivars: version 1 is champion" in said.out
    assert tidegate("restore", file, "--into", tmp_path / "b").code == 2
    assert tidegate("--home", tmp_path / "b", "compact", "--dry-run").code == 0
    assert "another run" not in tidegate("--home", tmp_path / "b", "compact").err
    assert tidegate("backup", "--verify", tmp_path / "none.tar").code == 1
