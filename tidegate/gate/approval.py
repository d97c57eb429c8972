"""What people have said of a version, and what it allows: pure rules over the rows of control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from tidegate.gate.line import NEVER_SKIPPED

What = Literal["request", "approve", "reject", "override"]
Standing = Literal["none", "requested", "approved", "rejected", "lapsed", "overridden"]

_AFTER: dict[What, Standing] = {
    "request": "requested", "approve": "approved", "reject": "rejected", "override": "overridden",
}  # fmt: skip
LEAK_ROLES = ("robustness", "leakage", "poisoning")
"""Roles of the lines of the check that looks for leaks."""


@dataclass(frozen=True)
class Said:
    """One row: what was asked of people about a version, or what one of them answered.

    ``until`` is when a request lapses or an override expires, None for the other two; ``body`` holds the window of
    the look that it is about, the digest of its evidence and the champion it was gated against.
    """

    what: What
    by: str
    reason: str
    until: datetime | None
    known_at: datetime
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Who did what and when."""
        verb = {"request": "asked for it", "approve": "approved it", "reject": "rejected it"}
        return f"{self.by} {verb.get(self.what, 'overrode the gate')} on {moment(self.known_at)}"


def moment(at: datetime) -> str:
    """A moment in words, to the minute.

    Examples
    --------
    >>> from datetime import UTC
    >>> moment(datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2024-01-02 03:04 UTC'
    """
    return f"{at:%Y-%m-%d %H:%M} {at.tzname() or ''}".rstrip()


def standing(rows: Sequence[Said], now: datetime) -> Standing:
    """Where a version stands with people: the newest row says, until its time is over.

    Parameters
    ----------
    rows : sequence of Said
        The rows of one version, oldest first; none is ``none``.
    now : datetime
        Timezone-aware. A request or an override whose ``until`` has come is ``lapsed``; nothing is written for that.

    Examples
    --------
    >>> from datetime import UTC, timedelta
    >>> at = datetime(2024, 1, 1, tzinfo=UTC)
    >>> asked = Said("request", "tidegate", "", at + timedelta(days=7), at)
    >>> standing([], at), standing([asked], at), standing([asked], at + timedelta(days=7))
    ('none', 'requested', 'lapsed')
    >>> standing([asked, Said("approve", "ann", "", None, at)], at + timedelta(days=99))
    'approved'
    """
    if not rows:
        return "none"
    last = rows[-1]
    if last.until is not None and now >= last.until:
        return "lapsed"
    return _AFTER[last.what]


def answered(rows: Sequence[Said], now: datetime) -> Said | None:
    """The answer that stands, if a version has one: whoever comes later is told of it.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2024, 1, 1, tzinfo=UTC)
    >>> answered([Said("reject", "ann", "too slow", None, at)], at).words
    'ann rejected it on 2024-01-01 00:00 UTC'
    >>> answered([], at) is None
    True
    """
    return rows[-1] if standing(rows, now) in ("approved", "rejected", "overridden") else None


def authority(status: str, rows: Sequence[Said], now: datetime, *, promotion: str, frozen: str = "") -> str:
    """Why a version may not go live, or an empty string if it may.

    Parameters
    ----------
    status : str
        Of the version: ``challenger`` once it has passed the gate.
    promotion : str
        ``automatic`` or ``approve``, as the model file says.
    frozen : str
        Why the model is frozen, empty if it is not.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2024, 1, 1, tzinfo=UTC)
    >>> authority("challenger", [], at, promotion="automatic")
    ''
    >>> authority("challenger", [], at, promotion="approve")
    'nobody has approved it'
    >>> authority("rejected", [], at, promotion="automatic")
    'rejected'
    """
    said = standing(rows, now)
    if status != "challenger" and not (said == "overridden" and status in ("candidate", "rejected")):
        return status
    if said == "rejected":
        return rows[-1].words
    if frozen:
        return frozen
    if said in ("approved", "overridden") or promotion == "automatic":
        return ""
    return "a request that lapsed" if said == "lapsed" else "nobody has approved it"


def not_overridable(look: Mapping[str, Any] | None) -> str:
    """Why nobody may override the verdict of a look, or an empty string if somebody may.

    Servability, leakage and digests have to be proven: a role that failed or is inconclusive, a check that was not
    made or said nothing of them, and a look without a record of its checks all refuse.

    Parameters
    ----------
    look : mapping or None
        The version's last look: ``outcome``; ``checks``, outcome by name; ``failed_roles``, the roles of the lines
        that failed or are inconclusive.

    Examples
    --------
    >>> checks = {"performance": "fail", "robustness": "pass", "servability": "pass"}
    >>> not_overridable({"outcome": "fail", "checks": checks, "failed_roles": ["better"]})
    ''
    >>> not_overridable({"outcome": "fail", "checks": checks, "failed_roles": ["leakage"]})
    'leakage is not proven, and nobody may skip it'
    >>> not_overridable({"outcome": "fail"})
    'its last look holds no evidence of its checks'
    """
    if look is None:
        return "the gate has not looked at it"
    if look.get("outcome") == "pass":
        return "it passed the gate: approve it"
    checks, roles = look.get("checks"), look.get("failed_roles")
    if not isinstance(checks, Mapping) or not isinstance(roles, Sequence):
        return "its last look holds no evidence of its checks"
    missing = [role for role in NEVER_SKIPPED if role in roles]
    if checks.get("servability") != "pass" and "servability" not in missing:
        missing.append("servability")
    # A check without a single line that failed could not be made at all: it says nothing of leaks.
    blank = checks.get("robustness") != "pass" and not any(role in roles for role in LEAK_ROLES)
    if blank and "leakage" not in missing:
        missing.append("leakage")
    if not missing:
        return ""
    one = len(missing) == 1
    return f"{', '.join(missing)} {'is' if one else 'are'} not proven, and nobody may skip {'it' if one else 'them'}"


def skipped(look: Mapping[str, Any]) -> list[str]:
    """Names of the checks that an override of this look skips.

    Examples
    --------
    >>> skipped({"checks": {"performance": "fail", "segments": "not asked", "servability": "pass"}})
    ['performance']
    """
    return [name for name, outcome in look.get("checks", {}).items() if outcome in ("fail", "inconclusive")]
