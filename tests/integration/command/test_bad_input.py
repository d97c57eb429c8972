"""Bad input of every kind: one line with the thing, the expected, the found and the next step."""

import os
import subprocess
import sys

import pytest

NIGHT = "2024-01-02"


def change(home, name, old, new):
    path = home / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def lake(home):
    """What the state has besides empty databases and Prefect's own."""
    return sorted(str(p.relative_to(home)) for p in home.glob("var/lake/**/*") if p.is_file())


MODEL, DATASET = "configs/models/cultivars.yaml", "configs/datasets/tastings.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (MODEL, "owner:", "ownr:", "expected a known key, found 'ownr'. Next: did you mean 'owner'?"),
        (MODEL, "delay: 3d", "delay: 3", "label.delay: expected a time span such as 30m, 36h, 2d or 1w, found 3"),
        (MODEL, "kind: multiclass", "kind: multi", "kind: expected"),
        (MODEL, "dataset: tastings", "dataset: tasting", "did you mean 'tastings'"),
        (MODEL, "hue, proline]", "hue, prolin]", "did you mean 'proline'"),
        (DATASET, "max: 20, unit", "max: high, unit", "columns.alcohol.max: expected"),
        ("configs/tidegate.yaml", "namespace: lab", "namespace: [lab", "configs/tidegate.yaml"),
    ],
)
def test_a_wrong_configuration(tidegate, wine_home, file, old, new, words):
    change(wine_home, file, old, new)
    said = tidegate("--home", wine_home, "config", "explain", "cultivars")
    assert said.code == 2
    line = said.one_line()
    assert words in line
    assert "expected " in line
    assert "found " in line
    assert "Next: " in line
    assert not (wine_home / "var").exists()


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (("config", "explain", "cultivar"), "did you mean 'cultivars'"),
        (("nightly", "cultivars", "--window", "2024-13-01"), "--window: expected a date as YYYY-MM-DD, found"),
        (("ingest", "tastings", "--window", "2099-01-01"), "expected a night that is over"),
        (("findings", "cultivars", "20240101"), "expected a date as YYYY-MM-DD"),
        (("replay", "cultivars", "--from", "2024-01-03", "--to", "2024-01-01"), "--from not after --to"),
        (("replay", "cultivars", "--from", "2024-01-01", "--to", "2024-01-02", "--policy", "x"), "--policy: expected"),
        (
            ("approve", "cultivars", "7", "--by", "ann"),
            "expected a challenger that passed the gate, found no",
        ),
    ],
)
@pytest.mark.usefixtures("prefect")
def test_wrong_use(tidegate, wine_home, verb, words):
    said = tidegate("--home", wine_home, *verb)
    assert said.code == 2
    line = said.one_line()
    assert words in line
    assert lake(wine_home) == []


def test_no_home(tidegate, tmp_path):
    said = tidegate("--home", tmp_path / "none", "status", "cultivars")
    assert said.code == 2
    assert "expected a folder with configs/tidegate.yaml, found none. Next: pass --home" in said.one_line()


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda p: p.unlink(), "expected a file, found no such file. Next: put it into"),
        (lambda p: p.write_bytes(b""), "NO_DATA"),
        (lambda p: p.write_text(p.read_text().splitlines()[0] + "\n"), "NO_DATA"),
        (lambda p: p.write_bytes(p.read_bytes()[:700]), "expected a whole CSV file, found"),
        (lambda p: p.write_bytes(os.urandom(4000)), "expected a whole CSV file, found"),
        (
            lambda p: p.write_text(p.read_text().replace("hue", "heu", 1)),
            "'hue': expected to be present",
        ),
    ],
    ids=["absent", "empty", "header only", "torn", "noise", "column missing"],
)
def test_data_that_cannot_be_used_blocks_the_window(tidegate, wine_home, break_it, words):
    """A verdict, not a fault: exit code 3, the reason on stdout, no batch landed."""
    break_it(wine_home / f"wine/{NIGHT}.csv")
    said = tidegate("--home", wine_home, "ingest", "tastings", "--window", NIGHT)
    assert said.code == 3
    assert f"tastings {NIGHT}: fail" in said.out
    assert words in said.out
    assert said.err == ""
    assert not [f for f in lake(wine_home) if "/batches/" in f or "/profiles/" in f]


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("verdicts.csv", "second", "zweite", "label cultivar: expected one of"),
        ("verdicts.csv", "told_at", "said_at", "label source of cultivars: expected columns ['told_at']"),
        ("winery.py", "    return pd.read_csv", "    raise ValueError('no\\n wine')\n    return pd.read_csv",
         "user code winery:verdicts: expected a result, found ValueError: no wine"),
        ("winery.py", "def verdicts", "def verdict", "winery:verdicts: expected a function 'verdicts'"),
    ],
)  # fmt: skip
def test_labels_and_user_code_that_cannot_be_used(tidegate, wine_home, file, old, new, words):
    change(wine_home, file, old, new)
    if file == "verdicts.csv" and old == "second":
        text = (wine_home / file).read_text()
        (wine_home / file).write_text(text.replace("second", new))
    said = tidegate("--home", wine_home, "nightly", "cultivars", "--window", NIGHT)
    assert said.code in (1, 2)
    line = said.one_line()
    assert words in line
    assert "Next: " in line
    assert not [f for f in lake(wine_home) if "/labels/" in f]


def command(*words, wrap=()):
    code = "from tidegate.cli.main import main; main()"
    return subprocess.run(
        [*wrap, sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )


def test_a_fault_inside_a_flow_is_one_line_in_a_process_of_its_own(wine_home):
    """With its own embedded Prefect, on a home where nothing ran before."""
    change(
        wine_home, "winery.py", "    return pd.read_csv", "    raise ValueError('no\\n wine')\n    return pd.read_csv"
    )
    done = command("--home", wine_home, "nightly", "cultivars", "--window", NIGHT)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "tidegate: user code winery:verdicts: expected a result, found ValueError: no wine. "
        "Next: mend the user code and run the window again\n"
    )


def read_only(folder):
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"mount namespaces are not permitted here: {probe.stderr.strip()}")
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    return ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.fault(28)
@pytest.mark.parametrize("part", ["", "var"])
def test_a_read_only_home_stops_the_command_before_it_starts(wine_home, part):
    """Root ignores permissions, so the folder is mounted read-only."""
    (wine_home / part).mkdir(exist_ok=True)
    before = sorted(wine_home.rglob("*"))
    done = command("--home", wine_home, "ingest", "tastings", "--window", NIGHT, wrap=read_only(wine_home / part))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"state folder {wine_home / 'var'}: expected a folder that can be written, found " in done.stderr
    assert "Next: " in done.stderr
    assert sorted(wine_home.rglob("*")) == before


@pytest.mark.fault(28)
def test_a_file_where_the_state_should_be(tidegate, wine_home):
    (wine_home / "var").write_text("")
    said = tidegate("--home", wine_home, "nightly", "cultivars", "--window", NIGHT)
    assert said.code == 1
    assert f"state folder {wine_home / 'var'}" in said.one_line()
    said = tidegate("--home", wine_home, "status", "cultivars")
    assert said.code == 1
    assert f"state folder {wine_home / 'var'}" in said.one_line()
