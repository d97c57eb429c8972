"""What the privacy policy leaves of a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.dataset import Dataset
from tidegate.privacy.policy import compile_policy

KEY = (3, b"s" * 32)


def dataset(**columns: dict[str, Any]) -> Dataset:
    body = {"name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["at"]}
    return Dataset.model_validate({**body, "columns": {"at": {"type": "timestamp"}, **columns}})


def left(value: Any, **rule: Any) -> Any:
    policy = compile_policy(dataset(x=rule), ("x",), KEY)
    (out,) = policy.apply((value,)) or (None,)
    return out


def test_what_is_dropped_is_gone_and_the_rest_keeps_its_order() -> None:
    d = dataset(a={"type": "text", "privacy": "drop"}, b={"type": "number"}, c={"type": "text", "privacy": "pseudonym"})
    policy = compile_policy(d, ("c", "a", "b"), KEY)
    assert policy.columns == ("c", "b")
    assert policy.kinds == ("pseudonym", "number")
    c, b = policy.apply(("Ann", "secret", 1.5))
    assert b == 1.5
    assert c.startswith("p3:")
    assert "Ann" not in c


def test_everything_dropped_leaves_nothing() -> None:
    d = dataset(a={"type": "text", "privacy": "drop"})
    assert list(compile_policy(d, ("a",), None).apply(("x",))) == []


def test_pseudonyms_hang_on_the_key_and_the_column_and_need_a_key() -> None:
    d = dataset(a={"type": "text", "privacy": "pseudonym"}, b={"type": "text", "privacy": "pseudonym"})
    a, b = compile_policy(d, ("a", "b"), KEY).apply(("Ann", "Ann"))
    other, _ = compile_policy(d, ("a", "b"), (3, b"t" * 32)).apply(("Ann", "Ann"))
    assert len({a, b, other}) == 3
    assert compile_policy(d, ("a", "b"), KEY).apply(("Ann", "Ann")) == [a, b]
    with pytest.raises(ValueError, match="no key"):
        compile_policy(d, ("a",), None)


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        (0.3, {"type": "number", "privacy": "generalise", "granularity": 0.1}, 0.3),
        (0.35, {"type": "number", "privacy": "generalise", "granularity": 0.1}, 0.3),
        (-0.01, {"type": "number", "privacy": "generalise", "granularity": 5}, -5.0),
        (39, {"type": "integer", "privacy": "generalise", "granularity": 10}, 30),
        (36, {"type": "integer", "privacy": "round", "granularity": 10}, 40),
        (2.6, {"type": "number", "privacy": "round", "granularity": 0.5}, 2.5),
        ("10115", {"type": "category", "privacy": "generalise", "granularity": 2}, "10"),
        (float("inf"), {"type": "number", "privacy": "round", "granularity": 1}, None),
        (None, {"type": "number", "privacy": "round", "granularity": 1}, None),
        (None, {"type": "text", "privacy": "pseudonym"}, None),
    ],
)
def test_coarse_values(value: Any, rule: dict[str, Any], expected: Any) -> None:
    found = left(value, **rule)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("grain", "expected"), [("hour", (2013, 3, 4, 22)), ("day", (2013, 3, 4, 0)),
                                                 ("month", (2013, 3, 1, 0)), ("year", (2013, 1, 1, 0))])  # fmt: skip
def test_instants_are_cut_in_utc(grain: str, expected: tuple[int, ...]) -> None:
    at = datetime(2013, 3, 5, 0, 45, 7, 9, tzinfo=timezone(timedelta(hours=2)))
    assert left(at, type="timestamp", privacy="generalise", granularity=grain) == datetime(*expected, tzinfo=UTC)


@given(
    st.floats(-1e9, 1e9), st.sampled_from([0.01, 0.1, 0.25, 1.0, 7.0, 50.0]), st.sampled_from(["generalise", "round"])
)
def test_coarse_again_changes_nothing_and_is_near(value: float, step: float, how: str) -> None:
    rule = {"type": "number", "privacy": how, "granularity": step}
    once = left(value, **rule)
    assert left(once, **rule) == once
    assert abs(once - value) <= step * (1 + 1e-9) + 1e-6
