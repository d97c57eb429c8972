"""What all configuration models share: frozen, unknown keys refused, errors in our own words."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

WRONG: Final = "tidegate"
"""The type of the pydantic errors that carry expected, found and next step themselves."""


class Settings(BaseModel):
    """Base of every configuration model: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def wrong(expected: str, found: str, *, key: str = "", do: str = "") -> PydanticCustomError:
    """A validation error in our own words; `key` is relative to what is validated."""
    return PydanticCustomError(
        WRONG, "{key}: expected {expected}, found {found}", {"key": key, "expected": expected, "found": found, "do": do}
    )


_BOUNDED = reprlib.Repr()
_BOUNDED.maxstring = _BOUNDED.maxother = 60
_BOUNDED.maxlevel = 2


def show(value: object) -> str:
    """A value as it may stand in a one-line message: escaped, and short however large it is."""
    return "nothing" if value is None else _BOUNDED.repr(value)


def did_you_mean(word: object, known: Iterable[str], otherwise: str = "correct the value") -> str:
    """The next step after an unknown word."""
    near = difflib.get_close_matches(str(word)[:128], list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def quotes(value: object) -> str:
    """The next step after a value that is not text."""
    if isinstance(value, bool):
        return "YAML reads yes, no, on and off as true and false: put it in quotes"
    return "correct the value" if isinstance(value, str | list | dict | None) else "put it in quotes"


@dataclass(frozen=True)
class Rule:
    """A rule on one value: its words (for errors), its short name (for the reference) and the check.

    The check sees the value as written, returns the one to use, and raises what `wrong` makes.
    """

    words: str
    check: Callable[[Any], Any]
    short: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))
