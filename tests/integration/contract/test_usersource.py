import os
import sys
import threading

import pytest

from tidegate.adapters.source import call_user, load_function
from tidegate.errors import ConfigError, SourceError


def write(folder, text, name="mine.py"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


def test_an_edited_file_is_seen_at_once_whatever_its_time_says(tmp_path):
    write(tmp_path, "def f():\n    return 1\n")
    old = load_function("mine:f", tmp_path)
    assert load_function("mine:f", tmp_path) is old
    write(tmp_path, "def f():\n    return 2\n")
    assert call_user("mine:f", tmp_path) == 2
    assert old() == 1


def test_two_homes_with_one_module_path_do_not_mix(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, "here = __file__\ndef f():\n    return here\n", "code/mine.py")
    for name in "abab":
        assert call_user("code.mine:f", tmp_path / name) == str(tmp_path / name / "code" / "mine.py")


def test_a_name_of_the_standard_library_is_the_homes_own_and_hides_nothing(tmp_path):
    import statistics

    write(tmp_path, "def f():\n    return 'ours'\n", "statistics.py")
    before = list(sys.path)
    assert call_user("statistics:f", tmp_path) == "ours"
    assert sys.modules["statistics"] is statistics
    assert sys.path == before


def test_dataclasses_and_annotations_work_in_user_code(tmp_path):
    text = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "@dataclass\nclass A:\n    k: ClassVar[int] = 3\n    x: int = 1\n"
        "def f():\n    return A().x\n"
    )
    write(tmp_path, text)
    assert call_user("mine:f", tmp_path) == 1


@pytest.mark.parametrize(
    ("text", "fault", "words"),
    [
        ("def ff(): pass", ConfigError, "expected a function 'f' in mine, found none. Next: did you mean 'ff'?"),
        ("f = 3", ConfigError, "expected a function 'f' in mine, found int"),
        ("def f(:", SourceError, "SyntaxError"),
        ("1 / 0", SourceError, "ZeroDivisionError"),
        ("import nothing_like_this", SourceError, "install what it needs"),
        ("raise SystemExit(3)", SourceError, "SystemExit: 3"),
        ("def f(): raise ValueError('a\\nb')", SourceError, "ValueError: a b. Next: mend the user code and run"),
        ("def f(x): pass", SourceError, "TypeError"),
        ("def f(): raise SystemExit", SourceError, "SystemExit"),
        ("f = 1; raise KeyError('x')", SourceError, "KeyError"),
    ],
)
def test_every_fault_of_user_code_is_one_line(tmp_path, text, fault, words):
    write(tmp_path, text + "\n")
    for _ in range(2):
        # Twice: a module that failed to load must not be taken for loaded.
        with pytest.raises(fault) as caught:
            call_user("mine:f", tmp_path)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        assert type(caught.value) is fault


def test_an_absent_module_is_a_configuration_fault(tmp_path):
    for path in ("nothing_like_this:f", "nothing.like:f", "os.nothing:f"):
        with pytest.raises(ConfigError, match="below the home, or installed"):
            load_function(path, tmp_path)


def test_an_installed_module_is_found(tmp_path):
    assert load_function("math:sqrt", tmp_path)(4) == 2


def test_faults_of_our_own_pass_through_user_code(tmp_path):
    write(tmp_path, "from pathlib import Path\nfrom tidegate.adapters.source import read_file\n"
          "def f():\n    return read_file(Path('none.csv'))\n")  # fmt: skip
    with pytest.raises(SourceError, match=r"^source file none\.csv"):
        call_user("mine:f", tmp_path)


def test_threads_see_a_module_only_when_it_is_whole(tmp_path):
    write(tmp_path, "import time\ntime.sleep(.05)\ncount = [1]\ndef f():\n    return id(count)\n")
    results = []
    threads = [threading.Thread(target=lambda: results.append(call_user("mine:f", tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1
