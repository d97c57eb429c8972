"""Whom alarms are told to: channels, routes by group and severity, quiet hours, retries."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tidegate.config.base import Rule, Settings, did_you_mean, quotes, show, wrong
from tidegate.config.values import Duration, Name, TimeZone, Whole

_TIME_WORDS = "a time of day as HH:MM"
_FROM_WORDS = "env:NAME of an environment variable or file:PATH of a private file"
_HOST_WORDS = "a host name, an address or a network such as 10.1.0.0/16"
LOCAL = frozenset(
    {"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "rsyslog", "syslog", "windows"}
)  # fmt: skip
"""Schemes of Apprise that reach nobody but who sits at this machine."""
GENERIC = frozenset({"form", "forms", "http", "https", "json", "jsons", "xml", "xmls"})
"""Schemes of Apprise that post to any address: the webhook does that, and checks the address."""


def _time(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return value
    # YAML reads 22:00 as a number to base 60.
    raise wrong(_TIME_WORDS, show(value), do=quotes(value))


def _reference(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\x00-\x1f]{1,400}", value):
        return value
    # What was found is not shown: it may be the secret itself.
    raise wrong(_FROM_WORDS, "something else", do="keep the secret out of the file and name where it is")


def _plain_url(value: object) -> object:
    words = "an http or https address without user, query or fragment"
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
        fits = parts and parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        parts, fits = None, False
    if not fits or parts is None:
        raise wrong(words, "another one" if value is not None else "nothing")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise wrong(words, "one with more", do="an address that holds a secret goes to url_from")
    return value


def _host(value: object) -> object:
    if isinstance(value, str) and "/" in value:
        try:
            return str(ip_network(value))
        except ValueError:
            raise wrong(_HOST_WORDS, show(value)) from None
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", value):
        return value.lower()
    raise wrong(_HOST_WORDS, show(value), do=quotes(value))


def _sorted_out(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if values.count(value) > 1:
            raise wrong("every channel once", f"{show(value)} twice", do="remove one")
    return values


TimeOfDay = Annotated[str, Rule(_TIME_WORDS, _time, "HH:MM")]
SecretFrom = Annotated[str, Rule(_FROM_WORDS, _reference, "env:NAME or file:PATH")]
PlainUrl = Annotated[str, Rule("an http or https address", _plain_url, "address")]
Host = Annotated[str, Rule(_HOST_WORDS, _host, "host or network")]
Channels = Annotated[tuple[Name, ...], AfterValidator(_sorted_out)]


class Channel(Settings):
    """One way to tell people."""

    kind: Literal["webhook", "apprise"] = Field(
        description="`webhook`: a signed POST of JSON; `apprise`: a service that Apprise knows (chat, mail, pager)."
    )
    url: PlainUrl | None = Field(None, description="Address of a webhook that holds no secret.")
    url_from: SecretFrom | None = Field(
        None, description="Where the address is, if it holds a secret; a relative PATH is below the home."
    )
    secret_from: SecretFrom | None = Field(
        None, description="Where the webhook's signing secret is, 16 bytes or more; a webhook needs one."
    )
    scheme: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")] | None = Field(
        None, description="What the address of an `apprise` channel begins with, `slack` or `mailtos`, say."
    )

    @model_validator(mode="after")
    def _complete(self) -> Channel:
        if self.kind == "webhook":
            if (self.url is None) == (self.url_from is None):
                found = "neither" if self.url is None else "both"
                raise wrong("url or url_from, one of them", found, key="url")
            if self.secret_from is None:
                raise wrong("where the signing secret is", "nothing", key="secret_from", do="add secret_from: env:NAME")
            if self.scheme is not None:
                raise wrong("no scheme on a webhook", show(self.scheme), key="scheme", do="remove it")
            return self
        for key in ("url", "secret_from"):
            if getattr(self, key) is not None:
                raise wrong(f"no {key} on an apprise channel", "one", key=key, do="use url_from: env:NAME or file:PATH")
        if self.url_from is None:
            raise wrong("where the address is", "nothing", key="url_from", do="add url_from: env:NAME")
        if self.scheme is None:
            raise wrong("what the address begins with", "nothing", key="scheme", do="add scheme: slack, say")
        if self.scheme in LOCAL | GENERIC:
            do = "use kind: webhook" if self.scheme in GENERIC else "name a service that reaches people"
            raise wrong("a service with an address of its own", show(self.scheme), key="scheme", do=do)
        return self


class Quiet(Settings):
    """Hours in which only pages are delivered."""

    start: TimeOfDay = Field(alias="from", description="When they begin, local time.")
    end: TimeOfDay = Field(alias="to", description="When they end, local time; before `from`: on the next day.")

    @model_validator(mode="after")
    def _some(self) -> Quiet:
        if self.start == self.end:
            raise wrong(f"a time other than from, {self.start}", self.end, key="to")
        return self


class Route(Settings):
    """What a group is told, and when."""

    page: Channels = Field((), description="Channels of pages.")
    ticket: Channels = Field((), description="Channels of tickets.")
    digest: Channels = Field((), description="Channels of the daily digest.")
    time_zone: TimeZone = Field("UTC", description="Whose clock `quiet` and `digest_at` go by.")
    quiet: Quiet | None = Field(None, description="Hours in which tickets wait; pages never do.")
    digest_at: TimeOfDay = Field("08:00", description="When the day's digest is sent, local time.")


class Alerts(Settings):
    """How alarms reach people."""

    channels: dict[Name, Channel] = Field(default_factory=dict, description="Ways to tell people, by name.")
    routes: dict[Name, Route] = Field(
        default_factory=dict,
        description="What each on-call group is told through which channels; `default` is for groups without one.",
    )
    allow_hosts: tuple[Host, ...] = Field(
        (), description="Hosts, addresses and networks that may be reached although they are not public."
    )
    link: PlainUrl | None = Field(None, description="Address of the pages, as people reach it; put into messages.")
    timeout: Duration = Field(
        timedelta(seconds=5), ge=timedelta(seconds=1), le=timedelta(minutes=1), description="Time for one delivery."
    )
    max_bytes: Whole = Field(
        16 * 2**10, ge=2**10, le=2**20, description="Bytes of a message's text; what is longer is cut, and says so."
    )
    attempts: Whole = Field(8, ge=1, le=50, description="Times that a message is tried before it is given up.")
    first_wait: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="Wait after the first try that failed; doubled with each.",
    )
    longest_wait: Duration = Field(
        timedelta(minutes=15), ge=timedelta(seconds=1), le=timedelta(days=1), description="Where doubling ends."
    )
    join: Duration = Field(
        timedelta(minutes=15),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="Follow-ups of an incident that are no louder are joined into one message in such a time.",
    )
    remind: Duration | None = Field(
        timedelta(hours=1),
        ge=timedelta(minutes=1),
        description="Time after which a page that nobody acknowledged is told again; none: never.",
    )
    reminders: Whole = Field(3, ge=0, le=100, description="How often it is told again.")
    max_age: Duration = Field(
        timedelta(days=1),
        gt=timedelta(0),
        description="Alarms that are older when they are first seen are recorded and not sent.",
    )

    @model_validator(mode="after")
    def _known(self) -> Alerts:
        for group, route in self.routes.items():
            for severity in ("page", "ticket", "digest"):
                for channel in getattr(route, severity):
                    if channel not in self.channels:
                        known = f"one of {', '.join(sorted(self.channels))}" if self.channels else "a channel"
                        do = did_you_mean(channel, self.channels, f"declare alerts.channels.{channel}")
                        raise wrong(known, show(channel), key=f"routes.{group}.{severity}", do=do)
        return self

    def route(self, group: str) -> Route:
        """The route of a group, the default one, or one that leads nowhere."""
        return self.routes.get(group) or self.routes.get("default") or Route()


__all__ = ["GENERIC", "LOCAL", "Alerts", "Channel", "Quiet", "Route"]
