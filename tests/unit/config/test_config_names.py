"""Names and paths from outside never lead out of the home; values keep their kind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.config.dataset import CalendarSettings, Quality, Source
from tidegate.config.home import Home, find_home
from tidegate.config.model import Alarms
from tidegate.config.platform import Platform
from tidegate.config.project import Project
from tidegate.config.values import NAME, duration_text
from tidegate.errors import ConfigError

ROOT = Path(tempfile.gettempdir()) / "home"
ODD = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc/passwd",
    "a\n",
    "A",
    "a.yaml",
    "~",
    "x" * 65,
    "a\x00",
    "ａ",
    "é",
    "\u202e",
    "con ",
]
odd_names = st.one_of(st.sampled_from(ODD), st.text(max_size=70), st.text(alphabet="a/.\\-~", max_size=12))
odd_paths = st.one_of(
    odd_names,
    st.lists(st.sampled_from(["..", ".", "a", "/", "//", "~", "{date}", "{", "}", "{{", "\\", "\n", " "])).map("".join),
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.fault(33)
@quick
@given(name=odd_names)
def test_a_name_opens_a_file_of_its_folder_or_none(name: str, write: Callable[..., Project]) -> None:
    project = write()
    good = bool(NAME.fullmatch(name))
    assert good == (0 < len(name) <= 64 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-"))
    for load in (project.model, project.dataset):
        with pytest.raises(ConfigError) as caught:
            load(name)
        assert str(caught.value).isprintable()
        # Only a name in order is looked for on the disk.
        assert ("no configs/" in str(caught.value)) == good


@pytest.mark.fault(33)
@quick
@given(name=odd_names)
def test_a_name_in_a_file_obeys_the_same_rule(name: str) -> None:
    try:
        Platform(namespace=name)
    except ValueError:
        assert not NAME.fullmatch(name)
    else:
        assert NAME.fullmatch(name)


@pytest.mark.fault(33)
@quick
@given(replay_id=odd_names, policy=odd_names)
def test_a_replay_stays_below_the_state(replay_id: str, policy: str) -> None:
    try:
        home = Home.at(ROOT).replay(replay_id, policy)
    except ConfigError:
        assert not (NAME.fullmatch(replay_id) and NAME.fullmatch(policy))
    else:
        assert home.state.parent == home.shared.parent == ROOT / "var" / "replay" / replay_id


@pytest.mark.fault(33)
@quick
@given(path=odd_paths)
def test_a_path_stays_below_the_home(path: str) -> None:
    try:
        files = Source(files=path).files
    except ValueError:
        pass
    else:
        assert files
        opened = (ROOT / files.format(date="2013-01-01")).resolve()
        assert opened.is_relative_to(ROOT.resolve())
        assert opened != ROOT.resolve()
    for make in (lambda: Quality(suite=path).suite, lambda: Platform(state=path).state):
        try:
            kept = make()
        except ValueError:
            continue
        assert kept
        assert (ROOT / kept).resolve().is_relative_to(ROOT.resolve())


@pytest.mark.parametrize(
    "path", ["data/{date}.csv", "raw/2013/{date}/{date}.parquet", "all.csv", "a..b/{date}.csv", "a b.csv"]
)
def test_good_paths_are_kept_as_they_are(path: str) -> None:
    assert Source(files=path).files == path


@quick
@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365 * 200)))
def test_a_time_span_is_read_as_it_is_written(span: timedelta) -> None:
    settings_ = Alarms(cooldown=span)
    assert Alarms.model_validate({"cooldown": duration_text(span)}) == settings_
    assert Alarms.model_validate_json(settings_.model_dump_json()) == settings_


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        ("2d", timedelta(days=2)),
        ("1.5d", timedelta(hours=36)),
        ("1w", timedelta(days=7)),
    ],
)
def test_units_of_time(text: str, span: timedelta) -> None:
    assert Alarms.model_validate({"cooldown": text}).cooldown == span


@pytest.mark.parametrize(
    "text", ["", "d", "2", "2x", "2 d", "-2d", "1e3d", "٢d", "P2D", "02:00:00", "infd", "nand", "1_0d", "2d\n"]
)
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time span"):
        Alarms.model_validate({"cooldown": text})


def test_days_and_python_values_are_taken() -> None:
    calendar = CalendarSettings.model_validate({"holidays": [date(2013, 1, 1), "2013-12-25"]})
    assert calendar.holidays == (date(2013, 1, 1), date(2013, 12, 25))
    assert Alarms(persistence=2, materiality=1).materiality == 1.0


def home(folder: Path) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "tidegate.yaml").write_text("state: var\n")
    return folder.resolve()


def test_the_home_is_found_by_argument_then_variable_then_upward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (home(tmp_path / n) for n in "abc")
    deep = third / "x" / "y"
    deep.mkdir(parents=True)
    monkeypatch.setenv("TIDEGATE_HOME", str(second))
    assert find_home(first, start=deep) == first
    assert find_home(start=deep) == second
    monkeypatch.setenv("TIDEGATE_HOME", "")
    assert find_home(start=deep) == third


@pytest.mark.parametrize("named", ["", "absent", "a\x00b", "~no-such-user-here/x", "x" * 5000])
def test_a_named_home_that_is_none_is_an_error_and_not_searched_on(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home(tmp_path / "a"))
    with pytest.raises(ConfigError, match="pass --home FOLDER or set TIDEGATE_HOME") as caught:
        find_home(named)
    assert str(caught.value).isprintable()


def test_no_home_upward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_HOME", raising=False)
    with pytest.raises(ConfigError, match=r"searched upward from .*: expected a folder with configs/tidegate\.yaml"):
        find_home(start=tmp_path)
