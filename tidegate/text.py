"""Text that came from data or from a person, before it reaches a terminal or the ledger."""

from __future__ import annotations

from tidegate.errors import UsageError


def printable(text: str) -> str:
    """A text whose control characters cannot reach a terminal.

    Examples
    --------
    >>> printable("JFK\\x1b[2J")
    'JFK\\\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain_line(text: str, what: str, length: int, *, empty: bool = False) -> str:
    """What a person said, without blanks around it: one line of at most `length` printable characters.

    Raises
    ------
    UsageError
        It is longer, has control characters or line breaks, or is empty and may not be.

    Examples
    --------
    >>> plain_line(" ann ", "--by", 120)
    'ann'
    """
    text = text.strip()
    if (text or empty) and len(text) <= length and text.isprintable():
        return text
    found = "nothing" if not text else f"{len(text)} characters" if len(text) > length else repr(text)[:60]
    raise UsageError(what, f"1 to {length} characters of text in one line", found, "say it shorter or plainer")
