"""Nothing private is reached through a webhook, and no secret leaves the place where it is kept."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import socket
import threading

import pytest

from tidegate.adapters.channels import opened
from tidegate.adapters.hosts import may_reach
from tidegate.adapters.webhook import Webhook
from tidegate.config.alerts import Alerts
from tidegate.errors import ChannelError, ConfigError
from tidegate.steps.alerts import deliver

AT = dt.datetime(2024, 1, 5, 6, tzinfo=dt.UTC)
KEY = b"sixteen bytes or more"
PRIVATE = (
    "127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "localhost",
    "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
)  # fmt: skip


@contextlib.contextmanager
def listening(address):
    """A socket that counts who connects."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, 0), family=family)
    server.settimeout(0.05)
    came, stop = [], threading.Event()

    def take():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
                came.append(1)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                connection.close()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield server.getsockname()[1], came
    finally:
        stop.set()
        thread.join()
        server.close()


@pytest.mark.fault(34)
def test_no_private_address_is_connected_to():
    with listening("0.0.0.0") as (port, four), listening("::") as (port6, six):
        for host in PRIVATE:
            for at in (port, port6):
                with pytest.raises(ChannelError, match=r"public address|looked up"):
                    Webhook("pager", f"http://{host}:{at}/", KEY).post(b"{}", "1", 1)
        # The listeners do count: what is listed gets through.
        Webhook("pager", f"http://127.0.0.1:{port}/", KEY, ["127.0.0.1"]).post(b"{}", "1", 1)
        Webhook("pager", f"http://[::1]:{port6}/", KEY, ["::1"]).post(b"{}", "1", 1)
    assert (len(four), len(six)) == (1, 1)


@pytest.mark.fault(34)
@pytest.mark.parametrize("address", [
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "fe80::1", "fd00:ec2::254", "fc00::1", "ff02::1",
    "::ffff:192.168.1.1", "64:ff9b::a00:1", "2002:a00:1::", "::7f00:1", "2001:db8::1",
])  # fmt: skip
def test_no_kind_of_private_address_may_be_reached(address):
    assert not may_reach(address, "hooks.example", ())
    assert may_reach("93.184.215.14", "hooks.example", ())
    assert may_reach("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "hooks.example", ())


@pytest.mark.fault(34)
def test_a_name_that_leads_elsewhere_the_second_time_is_looked_up_once(monkeypatch):
    with listening("127.0.0.1") as (port, first), listening("127.0.0.2") as (_, other):
        answers = ["127.0.0.1", "127.0.0.2", "127.0.0.2"]
        real = socket.getaddrinfo

        def rebinding(host, *rest, **more):
            return real(answers.pop(0) if host == "hooks.example" else host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        Webhook("pager", f"http://hooks.example:{port}/", KEY, ["127.0.0.1"]).post(b"{}", "1", 1)
        with pytest.raises(ChannelError, match=r"found 127\.0\.0\.2"):
            Webhook("pager", f"http://hooks.example:{port}/", KEY, ["127.0.0.1"]).post(b"{}", "1", 1)
    assert (len(first), len(other), len(answers)) == (1, 0, 1)


@pytest.mark.fault(34)
def test_a_redirect_to_a_private_address_is_not_followed(receiver):
    receiver.answers = [307]
    hook = Webhook("pager", f"http://127.0.0.1:{receiver.port}/", KEY, ["127.0.0.1"])
    with pytest.raises(ChannelError, match=r"307, a redirect, which is not followed"):
        hook.post(b"{}", "1", 1)
    assert receiver.connects == 1


def test_a_receiver_that_drips_or_floods_gets_no_more_time_or_room():
    for answer in (b"H", b"x" * 100_000, b"SMTP ready\r\n", b""):
        server = socket.create_server(("127.0.0.1", 0))
        stop = threading.Event()

        def drip(server=server, stop=stop, answer=answer):
            connection, _ = server.accept()
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    connection.sendall(answer)
                    if not answer:
                        break
            connection.close()

        thread = threading.Thread(target=drip)
        thread.start()
        hook = Webhook("pager", f"http://127.0.0.1:{server.getsockname()[1]}/", KEY, ["127.0.0.1"], timeout=0.4)
        with pytest.raises(ChannelError, match=r"within 0\.4 s|a connection"):
            hook.post(b"{}", "1", 1)
        stop.set()
        thread.join()
        server.close()


def test_secrets_are_in_no_file_message_or_log(home, receiver, config, raise_alarm, monkeypatch, caplog):
    secret = "a-token-nobody-may-see"
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CHAT", f"ntfy://{secret}:{secret}@127.0.0.1:{receiver.port}/topic-{secret}")
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.port}/{secret}?key={secret}")
    more = """\
    chat: {kind: apprise, scheme: ntfy, url_from: "env:CHAT"}
    hook: {kind: webhook, url_from: "env:HOOK", secret_from: "env:PAGER_SECRET"}"""
    receiver.answers = [500]
    stores = home(config(receiver.port, more, "default: {page: [chat, hook]}"))
    raise_alarm(stores)
    done = deliver(stores, AT)
    assert done.again == 2
    everything = [*done.faults, caplog.text, repr(opened("hook", stores.project.platform.alerts, stores.home.root,
                  {"HOOK": f"http://a.example/{secret}", "PAGER_SECRET": "x" * 20}))]  # fmt: skip
    everything += [p.read_bytes().decode("latin-1") for p in stores.home.root.rglob("*") if p.is_file()]
    assert not [text for text in everything if secret in text]
    assert sum("500" in fault for fault in done.faults) == 2, done.faults


def test_an_apprise_service_takes_what_is_said_as_text(home, receiver, config, alarm_of, monkeypatch):
    monkeypatch.setenv("CHAT", f"ntfy://127.0.0.1:{receiver.port}/ops")
    stores = home(config(receiver.port, '    chat: {kind: apprise, scheme: ntfy, url_from: "env:CHAT"}',
                         "default: {page: [chat]}"))  # fmt: skip
    told = alarm_of(text="@everyone <script>x</script> https://evil.example =cmd \x1b[2J drifted")
    stores.records.put_alarms("bought", "shopkeepers", [told], AT)
    assert deliver(stores, AT).sent == 1
    body = receiver.got[0][1].decode()
    assert "@everyone" not in body
    assert "https://evil" not in body
    assert "\x1b" not in body
    assert "about 40 EUR a day" in body


def test_a_self_hosted_service_of_apprise_on_a_private_address_is_refused(
    home, receiver, config, raise_alarm, monkeypatch
):
    monkeypatch.setenv("CHAT", f"ntfy://127.0.0.1:{receiver.port}/ops")
    text = config(receiver.port, '    chat: {kind: apprise, scheme: ntfy, url_from: "env:CHAT"}',
                  "default: {page: [chat]}")  # fmt: skip
    stores = home(text.replace("allow_hosts: [127.0.0.1]", "allow_hosts: []"))
    raise_alarm(stores)
    assert "expected a public address, found 127.0.0.1" in deliver(stores, AT).faults[0]
    assert receiver.connects == 0


@pytest.mark.parametrize(("found", "scheme"), [
    ("json://127.0.0.1/", "slack"), ("jsons://a.example", "json"), ("mailto://a:b@c.example", "slack"),
    ("word", "slack"), ("SLACKS://x", "slack"), ("", "slack"),
])  # fmt: skip
def test_an_address_cannot_choose_another_service(tmp_path, found, scheme):
    channel = {"kind": "apprise", "scheme": "slack", "url_from": "env:CHAT"}
    alerts = Alerts.model_validate({"channels": {"chat": channel}})
    with pytest.raises(ConfigError) as fault:
        opened("chat", alerts, tmp_path, {"CHAT": found})
    assert not found or found not in str(fault.value)


def test_a_secret_in_a_file_is_private(tmp_path):
    channel = {"kind": "webhook", "url": "https://hooks.example/", "secret_from": "file:key"}
    alerts = Alerts.model_validate({"channels": {"hook": channel}})
    with pytest.raises(ConfigError, match=r"file key: expected a private file, found No such file"):
        opened("hook", alerts, tmp_path, {})
    (tmp_path / "key").write_text("sixteen bytes or more\n")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigError, match=r"only its owner can read, found others can\. Next: chmod 600 key"):
        opened("hook", alerts, tmp_path, {})
    (tmp_path / "key").chmod(0o600)
    opened("hook", alerts, tmp_path, {})
    (tmp_path / "key").write_text("short")
    with pytest.raises(ConfigError, match=r"16 bytes or more, found 5"):
        opened("hook", alerts, tmp_path, {})
