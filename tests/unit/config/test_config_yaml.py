"""What a YAML file may be, and the bombs that it may not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tidegate.config.yamlfile import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, read_yaml
from tidegate.errors import ConfigError


def refused(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, "f.yaml")
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith("f.yaml")
    assert caught.value.do
    assert len(text) < 250
    return text


FAULTS = {
    "empty": ("", "f.yaml: expected a mapping of keys to values, found an empty file"),
    "comments only": ("# nothing\n", "found an empty file"),
    "list": ("- a\n- b\n", "f.yaml: expected a mapping of keys to values, found ['a', 'b']"),
    "text": ("hello\n", "found 'hello'"),
    "two documents": ("a: 1\n---\nb: 2\n", "expected valid YAML, found another document"),
    "not YAML": ("a: 1\nb: [1, 2\nc: 3\n", "f.yaml line 3: expected valid YAML"),
    "tab": ("a:\n\tb: 1\n", "f.yaml line 2: expected valid YAML"),
    "control character": ("a: \x00\n", "expected valid YAML"),
    "key twice": ("a: 1\nb: 2\na: 3\n", "f.yaml line 3: expected every key once, found 'a' again, first on line 1"),
    "key twice, quoted": ("a: 1\n'a': 3\n", "f.yaml line 2: expected every key once"),
    "key twice, below": ("a:\n  - {b: 1, b: 2}\n", "f.yaml line 2: expected every key once, found 'b' again"),
    "key twice, in a key": ("? {b: 1, b: 2}\n: 1\n", "f.yaml line 1: expected every key once, found 'b' again"),
    "merge twice": ("x: &x {a: 1}\ny: {<<: *x, <<: *x}\n", "expected every key once, found '<<' again"),
    "list as a key": ("? [a]\n: 1\n", "expected valid YAML, found unhashable key"),
    "python tag": (
        "a: !!python/object/apply:os.system ['true']\n",
        "f.yaml line 1: expected plain YAML, found the tag",
    ),
    "python name": ("a: !!python/name:os.system\n", "found the tag 'tag:yaml.org,2002:python/name:os.system'"),
    "own tag": ("a: !secret x\n", "found the tag '!secret'. Next: remove the tag"),
    "tag on a mapping": ("a: !!python/object:builtins.dict {b: 1}\n", "found the tag"),
    "no such day": ("a: 1\nb: 2013-02-30\n", "f.yaml line 2: expected valid YAML, found day is out of range for month"),
    "no such number": ("a: 0x_\n", "f.yaml line 1: expected valid YAML, found invalid literal for int()"),
    "endless number": ("a: " + "9" * 5000 + "\n", "f.yaml line 1: expected valid YAML"),
    "not UTF-8": (b"a: \xff\n", "f.yaml: expected UTF-8 text, found byte 0xff at 3. Next: save it as UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "f.yaml: expected UTF-8 text"),
    "too large": ("#" * (MAX_BYTES + 1), f"f.yaml: expected at most {MAX_BYTES} bytes, found more"),
    "alias without an anchor": ("a: *b\n", "found undefined alias"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_file_that_is_refused(case: str, tmp_path: Path) -> None:
    content, message = FAULTS[case]
    text = refused(tmp_path / "f.yaml", content)
    assert message in text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"f\.yaml: expected a configuration file, found no such file"):
        read_yaml(tmp_path / "absent.yaml", "f.yaml")
    with pytest.raises(ConfigError, match=r"f\.yaml: expected a readable file, found Is a directory"):
        read_yaml(tmp_path, "f.yaml")


def test_a_plain_file_with_anchors_and_merges_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("\ufeffa: &a {x: 1, d: 2013-01-01}\nb: {<<: *a, x: 2}\nc: [*a]\n", encoding="utf-8")
    data = read_yaml(path)
    assert data["b"]["x"] == 2
    assert data["c"] == [data["a"]]


def laughs(width: int, levels: int, *, merge: bool = False) -> str:
    """`width ** levels` values in a few lines."""
    lines = ["a0: &a0 " + ("{k: 1}" if merge else "[" + ", ".join(["lol"] * 10) + "]")]
    for i in range(1, levels):
        again = ", ".join([f"*a{i - 1}"] * width)
        lines.append(f"a{i}: &a{i} " + (f"{{<<: [{again}]}}" if merge else f"[{again}]"))
    return "\n".join(lines) + "\n"


BOMBS = {
    "billion laughs": laughs(9, 10),
    "billion laughs in flow": "{" + ", ".join(laughs(9, 10).strip().splitlines()) + "}",
    "few aliases, large text": "a: &a " + "x" * 200_000 + "\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n",
    "merged keys": laughs(3, 12, merge=True),
    "within the alias cap": laughs(3, 11),
    "itself": "a: &a [*a]\n",
    "itself, deeper": "a: &a {b: {c: [1, *a]}}\n",
    "deep": "a: " + "[" * 100_000,
    "deep mapping": "{a: " * 50_000,
    "deep blocks": "".join(" " * i + "a:\n" for i in range(500)),
    "anchor named again": "a: &a [1]\nb: &a [*a, " + "x, " * 10 + "*a]\nc: [" + "*a, " * 40 + "*a]\n",
}


@pytest.mark.fault(35)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_without_being_expanded(bomb: str, tmp_path: Path) -> None:
    best = 1.0
    for _ in range(3):
        # Processor time of this thread, the best of three: other work on the machine is not counted.
        start = time.thread_time()
        text = refused(tmp_path / "f.yaml", BOMBS[bomb])
        best = min(best, time.thread_time() - start)
    assert (
        f"at most {MAX_ALIASES} aliases, {MAX_DEPTH} levels and {MAX_BYTES} bytes when written out, found more" in text
    )
    assert best < 0.1


@pytest.mark.fault(35)
def test_the_caps_are_where_they_are_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("a: &a 1\nb: [" + ", ".join(["*a"] * MAX_ALIASES) + "]\n")
    assert len(read_yaml(path)["b"]) == MAX_ALIASES
    path.write_text("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    assert read_yaml(path)
    refused(path, "a: &a 1\nb: [" + ", ".join(["*a"] * (MAX_ALIASES + 1)) + "]\n")
    refused(path, "a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)
