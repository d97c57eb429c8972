"""The channels of a home: what each sends through, opened from the configuration and the secrets it names."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from tidegate.adapters.hidden import secret_of
from tidegate.adapters.hosts import resolved
from tidegate.adapters.webhook import LEAST, Webhook
from tidegate.alarms.message import Message, as_json, as_text
from tidegate.config.alerts import GENERIC, LOCAL, Alerts, Channel
from tidegate.errors import ChannelError, ConfigError

_SAYS = ("apprise", "urllib3", "requests")


class Sender(Protocol):
    """Sends a message and gives the digest of what was sent, or raises `ChannelError`.

    `delivery` is the same however often a message is tried.
    """

    def send(self, message: Message, delivery: str) -> str: ...


def opened(name: str, alerts: Alerts, root: Path, environment: Mapping[str, str]) -> Sender:
    """A channel, ready to send.

    Raises
    ------
    ConfigError
        If a secret that it names is not there, or is no address of the declared kind.
    """
    channel, key = alerts.channels[name], f"alerts.channels.{name}"
    url = channel.url or secret_of(channel.url_from or "", f"{key}.url_from", root, environment)
    if channel.kind == "apprise":
        return _Apprise(name, _of_scheme(url, channel, key), alerts.allow_hosts, alerts.max_bytes, alerts.timeout)
    secret = secret_of(channel.secret_from or "", f"{key}.secret_from", root, environment).encode()
    if len(secret) < LEAST:
        raise ConfigError(f"{key}.secret_from", f"a secret of {LEAST} bytes or more", str(len(secret)), "make another")
    if (parts := _parts(url)) is None or parts not in ("http", "https"):
        raise ConfigError(f"{key}.url_from", "an http or https address", "another", "correct it where it is kept")
    hook = Webhook(name, url, secret, alerts.allow_hosts, alerts.timeout.total_seconds())
    return _Posted(hook, alerts.max_bytes)


def _parts(url: str) -> str | None:
    """The scheme of an address that can be posted to; None where there is no such thing."""
    try:
        parts = urlsplit(url)
        fits = parts.hostname and (parts.port or True) and not parts.fragment and url.isascii() and " " not in url
    except ValueError:
        return None
    return parts.scheme.lower() if fits and "@" not in parts.netloc else None


def _of_scheme(url: str, channel: Channel, key: str) -> str:
    """The address, if it begins as declared: what a variable holds cannot make another service of it."""
    found = url.partition("://")[0].lower()
    if "://" not in url or found != channel.scheme or found in LOCAL | GENERIC:
        what = "another scheme" if "://" in url else "no address"
        raise ConfigError(f"{key}.url_from", f"an address that begins with {channel.scheme}://", what,
                          "correct the address where it is kept, or the scheme in the configuration")  # fmt: skip
    return url


@dataclass(frozen=True, slots=True)
class _Posted:
    hook: Webhook
    longest: int

    def send(self, message: Message, delivery: str) -> str:
        body = as_json(message, delivery, self.longest)
        self.hook.post(body, delivery, int(time.time()))
        return hashlib.sha256(body).hexdigest()


class _Apprise:
    """One address of one service; text that came from data is made harmless in the service's own markup."""

    def __init__(self, name: str, url: str, allowed: Sequence[str], longest: int, timeout: Any) -> None:
        import apprise

        self.name, self.longest = name, longest
        for source in _SAYS:  # their debug lines have addresses in them
            logging.getLogger(source).setLevel(max(logging.getLogger(source).level, logging.WARNING))
        logging.getLogger("apprise").propagate = False
        asset = apprise.AppriseAsset(app_id="Tidegate", app_desc="Tidegate", app_url="", storage_mode="memory",
                                      image_url_mask="", image_url_logo="")  # fmt: skip
        server: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if server is None:
            raise ConfigError(f"alerts.channels.{name}.url_from", "an address that Apprise understands", "another",
                              "look the service up in Apprise's documentation")  # fmt: skip
        server.redirects = False
        server.socket_connect_timeout = server.socket_read_timeout = timeout.total_seconds() / 2
        self.server, self.allowed = server, allowed
        self.through = apprise.Apprise(asset=asset)  # what makes text into the service's own format
        self.through.add(server)

    def send(self, message: Message, delivery: str) -> str:
        import apprise

        self._check_host()
        marked = self.server.notify_format == apprise.NotifyFormat.MARKDOWN
        markup: Literal["text", "markdown"] = "markdown" if marked else "text"
        kinds = {"page": apprise.NotifyType.FAILURE, "ticket": apprise.NotifyType.WARNING}
        body = as_text(message, delivery, self.longest, markup)
        with _Heard() as heard:
            done = self.through.notify(
                body=body, title=message.title, notify_type=kinds.get(message.severity, apprise.NotifyType.INFO),
                body_format=apprise.NotifyFormat.TEXT,
            )  # fmt: skip
        if not done:
            raise ChannelError(f"channel {self.name}", "a message that was taken", heard.why, "look at the service")
        return hashlib.sha256(f"{message.title}\n{body}".encode()).hexdigest()

    def _check_host(self) -> None:
        """A service with a host of one's own is looked up first; Apprise does so again itself."""
        if self.server.host and any("{host}" in template for template in self.server.templates):
            try:
                resolved(self.server.host, self.server.port or 443, self.allowed)
            except ChannelError as fault:
                # The host itself is a part of a secret address.
                raise ChannelError(f"channel {self.name}", fault.expected, fault.found, fault.do) from None


class _Heard(logging.Handler):
    """What Apprise said of a failure, without the addresses in it: the status of the answer."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.why, self.mine = "none: it was refused, or nobody answered", threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"error=(\d{3})\b", record.getMessage())
        if found and record.thread == self.mine:
            self.why = f"an answer of {found[1]}"

    def __enter__(self) -> _Heard:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


__all__ = ["Sender", "opened"]
