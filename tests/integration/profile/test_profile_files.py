"""Data files into profiles, and the verbs that do it: real Parquet, CSV and Delta."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tidegate.adapters.profilefile import read_profile, write_profile
from tidegate.adapters.profiling import profile_files
from tidegate.drift.compare import compare
from tidegate.errors import IntegrityError, SourceError, StoreError, UsageError
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import OTHER, grid_of, merge_all, profile_of

PATH = os.pathsep.join(p for p in [os.getcwd(), *sys.path] if p)


def flights(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "delay": pa.array(rng.normal(8 + shift, 30, n), mask=rng.random(n) < 0.1),
            "gust": np.where(rng.random(n) < 0.7, np.nan, rng.normal(20, 5, n)),
            "wild": np.where(rng.random(n) < 0.01, np.inf, rng.integers(0, 9, n)),
            "late": rng.random(n) < 0.2,
            "when": pa.array(rng.integers(0, 10**9, n)).cast(pa.timestamp("s")),
            "carrier": rng.choice(["AA", "UA", "B6"], n),
            "note": np.char.add("flight ", rng.permutation(10 * n)[:n].astype(str)),
            "never": pa.nulls(n, pa.float64()),
            "constant": np.full(n, 7),
        }
    )


@pytest.fixture
def day(tmp_path):
    path = tmp_path / "day.parquet"
    pq.write_table(flights(150_000, 1), path, row_group_size=21_000)
    return path


def same(a, b):
    assert a.digest == b.digest
    assert a == b


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_do_not_change_a_bit(day, threads):
    grid = profile_files([day]).grid
    same(profile_files([day], like=grid, threads=threads), profile_files([day], like=grid, threads=2))


@pytest.mark.parametrize("splits", [1, 2, 7])
def test_splits_into_files_do_not_change_a_bit(tmp_path, day, splits):
    whole = profile_files([day], by="carrier")
    groups = pq.ParquetFile(day)
    paths = []
    for k in range(splits):
        path = tmp_path / f"part{k}.parquet"
        with pq.ParquetWriter(path, groups.schema_arrow) as sink:
            for g in range(groups.num_row_groups)[k::splits]:
                sink.write_table(groups.read_row_group(g))
        paths.append(path)
    parts = [profile_files([p], like=whole.grid, by="carrier") for p in paths]
    same(merge_all(parts), whole)
    same(merge_all(parts[::-1]), whole)
    same(profile_files(paths, like=whole.grid, by="carrier"), whole)


def test_a_file_gives_the_counts_of_its_table(day):
    profile, table = profile_files([day], by="carrier"), pq.read_table(day)
    in_memory = profile_of(table, profile.grid, by="carrier")
    assert profile.n == 150_000
    for name, column in profile.columns.items():
        assert column.counts == in_memory.columns[name].counts, name
        assert (column.missing, column.infinite) == (in_memory.columns[name].missing, in_memory.columns[name].infinite)
    assert profile.columns["delay"].missing == table["delay"].null_count > 0
    assert profile.columns["never"].missing == 150_000
    assert profile.columns["wild"].infinite > 1000
    assert profile.grid.axes["note"].of == "length"
    assert profile.columns["delay"].mean == pytest.approx(np.nanmean(table["delay"].to_numpy()), rel=1e-9)
    assert {s: p.n for s, p in profile.segments.items()} == profile.columns["carrier"].counts


def test_folders_patterns_csv_and_delta_are_the_same_rows(tmp_path):
    from deltalake import write_deltalake

    table = flights(3000, 2).select(["delay", "carrier", "constant"])
    halves = [table.slice(0, 1500), table.slice(1500)]
    (tmp_path / "folder").mkdir()
    for i, half in enumerate(halves):
        pq.write_table(half, tmp_path / "folder" / f"{i}.parquet")
        pacsv.write_csv(half, tmp_path / f"{i}.csv")
        write_deltalake(tmp_path / "delta", half, mode="append")
    grid = grid_of(table)
    whole = profile_files([tmp_path / "folder"], like=grid)
    same(profile_files([str(tmp_path / "folder" / "*.parquet")], like=grid), whole)
    same(profile_files([tmp_path / "delta"], like=grid), whole)
    read = profile_files([tmp_path / "0.csv", tmp_path / "1.csv"], like=grid)
    assert {n: c.counts for n, c in read.columns.items()} == {n: c.counts for n, c in whole.columns.items()}


def test_a_profile_survives_its_file(tmp_path, day):
    profile = profile_files([day], by="carrier")
    write_profile(profile, tmp_path / "a.profile")
    back = read_profile(tmp_path / "a.profile")
    same(back, profile)
    assert list(back.columns) == list(profile.columns)
    assert (back.engine, back.by, back.schema["when"]) == ("tidegate-profile/2", "carrier", "timestamp[ms]")
    assert sorted(os.listdir(tmp_path)) == ["a.profile", "day.parquet"]


def test_a_profile_of_another_engine_grid_or_content_is_refused(tmp_path, day):
    profile = profile_files([day], columns=["delay", "carrier"])
    path = tmp_path / "a.profile"
    write_profile(profile, path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"tidegate"])

    def stored(**change):
        pq.write_table(table.replace_schema_metadata({b"tidegate": json.dumps(about | change)}), path)

    stored(engine="tidegate-profile/1")
    with pytest.raises(UsageError, match="expected tidegate-profile/2, found tidegate-profile/1"):
        read_profile(path)
    stored(digest="0" * 64)
    with pytest.raises(IntegrityError, match="digest 000000000000"):
        read_profile(path)
    stored(grid=Grid({"delay": Axis("number"), "carrier": Axis("category")}).as_dict())
    with pytest.raises(UsageError, match="its own grid"):
        read_profile(path)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(SourceError, match="expected a profile"):
        read_profile(path)
    with pytest.raises(StoreError, match="can be written"):
        write_profile(profile, tmp_path / "nowhere" / "a.profile")


def bad_file(tmp_path, kind):
    path = tmp_path / f"{kind}.parquet"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "torn":
        pq.write_table(flights(1000, 1), path)
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "text":
        pq.write_table(pa.table({"delay": ["late", "early"]}), path)
    elif kind == "lacking":
        pq.write_table(pa.table({"other": [1.0]}), path)
    return path


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("empty", 1, "readable Parquet or CSV file"),
        ("torn", 1, "readable Parquet or CSV file"),
        ("text", 1, "column delay: expected number"),
        ("lacking", 2, "column delay: expected one of other"),
        ("absent", 2, "found nothing"),
    ],
)
def test_bad_files_are_one_line(tidegate, tmp_path, kind, code, words):
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"delay": [1.0, 2.0]}), good)
    said = tidegate("drift", good, bad_file(tmp_path, kind))
    assert said.code == code
    assert words in said.one_line()


@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row_are_honest(tidegate, tmp_path, n):
    pq.write_table(flights(2000, 1), tmp_path / "ref.parquet")
    pq.write_table(flights(2000, 1).slice(0, n), tmp_path / "cur.parquet")
    said = tidegate("drift", tmp_path / "ref.parquet", tmp_path / "cur.parquet", "--json")
    rows = {r["column"]: r for r in json.loads(said.out)}
    assert said.code == 0
    assert {r["n"] for r in rows.values()} == {n}
    assert (rows["carrier"]["psi"] is None) == (n == 0)
    for order in (("cur", "ref"), ("cur", "cur")):
        assert tidegate("drift", *(tmp_path / f"{o}.parquet" for o in order)).code == 0
    assert tidegate("profile", tmp_path / "cur.parquet", "--by", "carrier").code == 0


def test_days_are_profiled_merged_and_compared(tidegate, tmp_path):
    a, b, c = (tmp_path / f"{x}.parquet" for x in "abc")
    for path, seed, shift in ((a, 1, 0), (b, 2, 0), (c, 3, 15)):
        pq.write_table(flights(4000, seed, shift), path)
    said = tidegate("profile", a, "-o", tmp_path / "a.profile", "--by", "carrier")
    assert said.code == 0
    assert "4,000 rows of 9 columns" in said.out
    assert (
        tidegate("profile", b, "--like", tmp_path / "a.profile", "--by", "carrier", "-o", tmp_path / "b.profile").code
        == 0
    )
    said = tidegate("merge", tmp_path / "a.profile", tmp_path / "b.profile", "-o", tmp_path / "ab.profile", "--json")
    assert json.loads(said.out)["rows"] == 8000
    same(
        read_profile(tmp_path / "ab.profile"),
        profile_files([a, b], like=read_profile(tmp_path / "a.profile").grid, by="carrier"),
    )
    quiet = json.loads(tidegate("drift", tmp_path / "a.profile", b, "--json").out)
    assert not [r["column"] for r in quiet if r["psi"] > 1.5 * (r["psi_limit"] or 1)]
    moved = json.loads(tidegate("drift", tmp_path / "ab.profile", c, "--json").out)
    assert moved[0]["column"] == "delay"
    assert moved[0]["ks"] == pytest.approx(0.197, abs=0.03)
    assert set(moved[0]) >= {
        "psi",
        "psi_limit",
        "kl",
        "js",
        "ks",
        "w1_sigma",
        "missing",
        "unseen",
        "infinite",
        "resolution",
    }
    table = tidegate("drift", tmp_path / "ab.profile", c).out.splitlines()
    assert table[2].startswith("delay")
    assert table[2].rstrip().endswith("beyond the limit")
    assert "JFK" not in tidegate("drift", tmp_path / "a.profile", tmp_path / "b.profile", "--segments").out
    refused = tidegate("drift", tmp_path / "ab.profile", _other(tidegate, tmp_path, c))
    assert refused.code == 2
    assert "profile both on one grid" in refused.one_line()


def test_every_distance_has_its_bounds(tidegate, tmp_path):
    for name, seed, shift in (("ref", 1, 0), ("cur", 2, 15)):
        pq.write_table(flights(3000, seed, shift), tmp_path / f"{name}.parquet")
    sides = tmp_path / "ref.parquet", tmp_path / "cur.parquet"
    wide, narrow = (
        {r["column"]: r for r in strict(tidegate("drift", *sides, "--confidence", c, "--json").out)}
        for c in ("0.999", "0.9")
    )
    assert wide["never"]["ks_high"] is None
    for r in wide.values():
        for statistic in ("psi", "kl", "js", "ks", "w1_sigma", "missing", "unseen"):
            low, value, high = (r[k] for k in (f"{statistic}_low", statistic, f"{statistic}_high"))
            assert low is None or low <= value <= high, (r["column"], statistic)
    assert wide["delay"]["psi_high"] > narrow["delay"]["psi_high"] > narrow["delay"]["psi_low"] > 0.05
    text = tidegate("drift", *sides, "--columns", "delay, carrier").out
    lines = text.splitlines()
    assert lines[2].startswith("delay")
    assert lines[3].count(" to ") == 4
    assert lines[-1] == "Below each distance its 99 % bounds, as if rows were independent."
    assert max(map(len, lines)) < 150
    assert "gust" not in text


def test_columns_that_are_only_odd_together_are_told_by_the_classifier(tidegate, tmp_path):
    rng = np.random.default_rng(4)
    for name, sign in (("ref", 1), ("cur", -1)):
        x = rng.normal(size=6000)
        rows = {
            "a": x,
            "b": sign * x + rng.normal(0, 0.1, 6000),
            "at": pa.array(rng.integers(0, 9, 6000), pa.timestamp("s")),
        }
        pq.write_table(pa.table(rows), tmp_path / f"{name}.parquet", row_group_size=1000)
    sides = tmp_path / "ref.parquet", tmp_path / "cur.parquet"
    told = strict(tidegate("drift", *sides, "--multivariate", "--json").out)
    assert [c["column"] for c in told["columns"] if c["psi"] > 2 * c["psi_limit"]] == []
    test = told["multivariate"]
    assert test["low"] > 0.9
    assert (test["n"], test["n_reference"], test["outcome"]) == (5000, 5000, "fail")
    assert {name for name, _ in test["importance"]} == {"a", "b"}
    said = tidegate("drift", *sides, "--multivariate").out
    assert "AUC 0.9" in said
    assert "AUC that is lost without a column: " in said
    assert (
        strict(tidegate("drift", *sides, "--multivariate", "--columns", "a", "--json").out)["multivariate"]["outcome"]
        == "pass"
    )
    profile = tmp_path / "ref.profile"
    tidegate("profile", sides[0], "-o", profile)
    for words, message in (
        ((profile, sides[1], "--multivariate"), "--multivariate: expected data on both sides"),
        ((*sides, "--columns", "nope"), "column nope: expected one of a, b, at"),
        ((*sides, "--columns", "at", "--multivariate"), "times and free text only"),
    ):
        refused = tidegate("drift", *words)
        assert (refused.code, message in refused.one_line()) == (2, True)


@pytest.mark.parametrize("n", [0, 1])
def test_the_classifier_says_when_a_side_has_too_few_rows(tidegate, tmp_path, n):
    pq.write_table(flights(2000, 1), tmp_path / "ref.parquet")
    pq.write_table(flights(2000, 1).slice(0, n), tmp_path / "cur.parquet")
    sides = tmp_path / "ref.parquet", tmp_path / "cur.parquet"
    test = strict(tidegate("drift", *sides, "--multivariate", "--json").out)["multivariate"]
    assert (test["auc"], test["n"], test["outcome"]) == (None, n, "inconclusive")
    assert f"nothing can be said: {n} rows on a side" in tidegate("drift", *sides, "--multivariate").out


def strict(text):
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(word):
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


def _other(tidegate, tmp_path, data):
    tidegate("profile", data, "-o", tmp_path / "other.profile")
    return tmp_path / "other.profile"


def test_wrong_use_is_said(tidegate, tmp_path):
    data = tmp_path / "a.parquet"
    pq.write_table(flights(100, 1), data)
    for words, message in (
        (("profile", data, "--columns", "nope"), "column nope: expected one of delay"),
        (("profile", data, "--columns", ","), "--columns: expected at least one name"),
        (("profile", data, "--by", "nope"), "column nope"),
        (("profile", tmp_path / "none*"), "found nothing"),
        (("drift", data, data, "--confidence", "2"), "confidence: expected a number between 0 and 1"),
    ):
        said = tidegate(*words)
        assert said.code == 2
        assert message in said.one_line()


def test_the_verbs_need_no_home_and_load_nothing_heavy(tmp_path):
    pq.write_table(flights(200, 1), tmp_path / "a.parquet")
    code = (
        "import sys; from tidegate.cli.main import main\n"
        "for words in (['profile', 'a.parquet', '-o', 'a.profile', '--by', 'carrier'],\n"
        "              ['merge', 'a.profile', 'a.profile', '-o', 'b.profile'], ['drift', 'b.profile', 'a.parquet']):\n"
        "    sys.argv = ['tidegate', *words]\n"
        "    try: main()\n    except SystemExit as e: assert not e.code, e.code\n"
        "heavy = {'prefect','mlflow','great_expectations','evidently','pandas','sklearn','sqlalchemy','deltalake'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": PATH})  # fmt: skip
    assert done.returncode == 0, done.stderr


EXPLODE = """
import resource, sys
from tidegate.adapters.profilefile import read_profile
from tidegate.adapters.profiling import profile_files
profile = profile_files([sys.argv[1]], like=read_profile(sys.argv[2]).grid)
from tidegate.drift.compare import compare
[d] = compare(read_profile(sys.argv[2]), profile)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(peak, len(profile.columns["plane"].names), d.unseen, d.psi, d.psi_limit)
"""


@pytest.mark.fault(20)
def test_a_million_categories_stay_in_memory_and_alarm(tmp_path):
    known = pa.table({"plane": np.char.add("N", np.random.default_rng(1).integers(0, 300, 50_000).astype(str))})
    write_profile(profile_of(known, grid_of(known)), tmp_path / "ref.profile")
    path = tmp_path / "exploded.parquet"
    pq.write_table(pa.table({"plane": np.char.add("stranger-", np.arange(1_000_000).astype("U7"))}), path)
    done = subprocess.run(
        [sys.executable, "-c", EXPLODE, path, tmp_path / "ref.profile"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": PATH},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    megabytes, names, unseen, psi, limit = map(float, done.stdout.split())
    assert megabytes < 1000
    assert names <= 1000
    assert unseen > 0.999
    assert psi > 100 * limit


def test_the_tail_of_a_million_categories_is_in_other(tmp_path):
    values = np.concatenate((np.char.add("rare-", np.arange(30_000).astype("U7")), np.repeat(["common"], 500)))
    pq.write_table(pa.table({"plane": values}), tmp_path / "x.parquet", row_group_size=8000)
    profile = profile_files([tmp_path / "x.parquet"], like=Grid({"plane": Axis("category")}))
    counts = profile.columns["plane"].counts
    assert (len(counts), counts["common"], sum(counts.values())) == (1000, 500, 30_500)
    assert counts[OTHER] == 30_500 - 500 - 998
    [d] = compare(profile, profile)
    assert d.unseen == 0


def test_free_text_is_read_plainly_once_the_grid_says_so(tmp_path, monkeypatch):
    from tidegate.adapters import profiling

    pq.write_table(flights(9000, 1).select(["note", "carrier"]), tmp_path / "x.parquet", row_group_size=3000)
    read = []

    def seen(table, grid, **settings):
        read.append(tuple(pa.types.is_dictionary(table[n].type) for n in ("note", "carrier")))
        return profile_unit(table, grid, **settings)

    profile_unit = profiling.unit_profile
    monkeypatch.setattr(profiling, "unit_profile", seen)
    fitted = profile_files([tmp_path / "x.parquet"])
    assert read == [(True, True), (False, True), (False, True)]
    same(fitted, profile_files([tmp_path / "x.parquet"], like=fitted.grid))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_column_that_only_some_files_have_is_missing_in_the_others(tmp_path, tidegate, kind, order):
    whole = flights(3000, 4).select(["delay", "late", "carrier", "constant"])
    names = [tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"]
    for path, part in zip(names, (whole, whole.slice(0, 700).select(["late", "constant"])), strict=True):
        (pq.write_table if kind == "parquet" else pacsv.write_csv)(part, path)
    made = profile_files([names[i] for i in order])
    assert made.n == 3700
    assert made.columns["delay"].axis == profile_files([names[0]]).grid.axes["delay"]
    assert {n: c.missing for n, c in made.columns.items()} == {
        "delay": 700 + whole["delay"].null_count, "late": 0, "carrier": 700, "constant": 0,
    }  # fmt: skip
    by = profile_files([names[i] for i in order], by="carrier").segments
    assert by["\x00missing"].n == 700
    assert tidegate("profile", tmp_path / f"*.{kind}").code == 0
    out = tidegate("drift", names[0], tmp_path / f"*.{kind}", "--multivariate")
    assert (out.code, out.err) == (0, "")
    said = tidegate("profile", names[1], "--columns", "late,delay")
    assert said.code == 2
    assert "column delay: expected one of late, constant" in said.one_line()


def test_files_without_a_column_in_common(tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2.0, 4.0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"b": ["x", "y"]}), tmp_path / "b.parquet")
    made = profile_files([tmp_path])
    assert {n: (c.n, c.missing) for n, c in made.columns.items()} == {"a": (5, 2), "b": (5, 3)}
    made = profile_files([tmp_path], columns=["b"])
    assert made.columns["b"].counts == {"x": 1, "y": 1}
    assert made.n == 5
    pq.write_table(pa.table({"c": pa.array([], pa.float64())}), tmp_path / "c.parquet")
    assert profile_files([tmp_path]).columns["c"].missing == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.pop("grid"),
        lambda about: about.pop("digest"),
        lambda about: about.pop("order"),
        lambda about: about.update(grid=5),
        lambda about: about.update(digest=5),
        lambda about: about.update(order=["nobody"]),
        lambda about: about["grid"]["axes"]["delay"].update(offset="far"),
        lambda about: about["grid"]["axes"]["delay"].update(cells=[[1]]),
        lambda about: about["grid"].update(max_categories=float("inf")),
    ],
)
def test_damaged_metadata_of_a_profile_is_one_line(tmp_path, tidegate, change):
    path = tmp_path / "p.profile"
    table = flights(100, 1)
    write_profile(profile_of(table, grid_of(table)), path)
    stored = pq.read_table(path)
    about = json.loads(stored.schema.metadata[b"tidegate"])
    change(about)
    pq.write_table(stored.replace_schema_metadata({b"tidegate": json.dumps(about)}), path)
    said = tidegate("drift", path, path)
    assert said.code == 1
    assert f"{path}: expected a profile, found damaged content" in said.one_line()


def test_names_and_values_cannot_steer_the_terminal(tmp_path, tidegate):
    evil = "\x1b]0;evil\x07"
    table = pa.table({f"a{evil}": [1.0, 2.0], f"b\n{evil}": [evil, evil], "by": [f"x{evil}", "y"]})
    path, folder = tmp_path / "d.parquet", tmp_path / "e"
    pq.write_table(table, path)
    folder.mkdir()
    (folder / f"x{evil}.parquet").write_text("no")
    said = [
        tidegate("profile", path, "--by", "by", "-o", tmp_path / "d.profile"),
        tidegate("drift", tmp_path / "d.profile", tmp_path / "d.profile", "--segments"),
        tidegate("drift", path, path, "--multivariate"),
        tidegate("profile", folder),
        tidegate("profile", path, "--columns", "c"),
    ]
    assert [s.code for s in said] == [0, 0, 0, 1, 2]
    for s in said:
        assert not {"\x1b", "\x07"} & set(s.out + s.err)
        assert r"\x1b]0;evil" in s.out + s.err
    assert r"b\n\x1b" in said[0].out
    facts = json.loads(tidegate("profile", path, "--by", "by", "--json").out)
    assert {c["column"] for c in facts["columns"]} == set(table.column_names)
    assert set(facts["segments"]) == {f"x{evil}", "y"}
