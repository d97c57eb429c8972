"""Alarms reach channels: once, those whom they concern, and what fails is tried again."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tidegate.steps.alerts import Delivered, deliver, outbox_of, undelivered_pages
from tidegate.steps.stores import stores_of

AT = dt.datetime(2024, 1, 5, 6, tzinfo=dt.UTC)
SECRET = b"a signing secret of this test"
MINUTE = dt.timedelta(minutes=1)


def events(stores, incident):
    return [(h.event.what, h.event.note) for h in stores.incidents.history(incident)]


def test_a_page_is_delivered_signed_and_once(home, receiver, raise_alarm):
    stores = home()
    incident = raise_alarm(stores)
    assert deliver(stores, AT) == Delivered(sent=1)
    assert deliver(stores, AT + MINUTE) == Delivered()
    ((head, body),) = receiver.got
    at, v1 = (part.partition("=")[2] for part in head["Tidegate-Signature"].split(","))
    assert v1 == hmac.new(SECRET, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert abs(time.time() - int(at)) < 60
    said = json.loads(body)
    assert said["id"] == head["Tidegate-Delivery"]
    assert (said["severity"], said["incident"], said["group"]) == ("page", incident, "shopkeepers")
    assert said["alarms"][0]["text"].startswith("price drifted: KS 0.31")
    assert said["alarms"][0]["effect"] == "about 40 EUR a day"
    assert said["alarms"][0]["next_command"] == "tidegate findings bought 2024-01-04"
    (row,) = outbox_of(stores).listed()
    assert (row.state, row.attempts, row.digest) == ("delivered", 1, hashlib.sha256(body).hexdigest())
    assert dt.timedelta(0) <= row.delivered_at - AT < dt.timedelta(seconds=5)
    assert ("delivered", "page for shopkeepers through pager") in events(stores, incident)
    assert undelivered_pages(stores) == ()


def test_what_fails_is_tried_again_with_growing_waits_and_then_given_up(home, receiver, config, raise_alarm):
    stores = home(config(receiver.port, "  attempts: 3\n"))
    receiver.answers = [500, 302, 503, 200]
    incident = raise_alarm(stores)
    first = deliver(stores, AT)
    assert (first.again, first.faults) == (
        1, ("channel pager: expected an answer of 2xx, found 500. Next: look at what answers there",)
    )  # fmt: skip
    assert len(undelivered_pages(stores)) == 1
    assert deliver(stores, AT + dt.timedelta(seconds=8)) == Delivered()  # too early
    second = deliver(stores, AT + dt.timedelta(seconds=12))
    assert "302, a redirect, which is not followed" in second.faults[0]
    assert deliver(stores, AT + MINUTE).given_up == 1
    assert deliver(stores, AT + 9 * MINUTE) == Delivered()
    assert len({b["id"] for b in receiver.bodies}) == 1  # one message, by which a receiver knows it again
    assert len(receiver.got) == 3  # nothing went elsewhere
    (page,) = undelivered_pages(stores)
    assert (page.incident, page.channels) == (incident, ("pager",))
    told = [note for what, note in events(stores, incident) if what == "undelivered"]
    assert [t.endswith("tried again") for t in told] == [True, False]
    assert "given up after 3 attempts. Next: tidegate alerts retry" in told[1]
    assert outbox_of(stores).retry(AT + 10 * MINUTE) == 1
    assert deliver(stores, AT + 10 * MINUTE) == Delivered(sent=1)
    assert undelivered_pages(stores) == ()


def test_a_channel_that_hangs_or_lacks_its_secret_does_not_hold_the_others(home, receiver, config, raise_alarm):
    more = """\
    silent: {kind: webhook, url: "http://127.0.0.1:PORT/hook", secret_from: "env:PAGER_SECRET"}
    keyless: {kind: webhook, url: "http://127.0.0.1:PORT/hook", secret_from: "env:NOT_SET_ANYWHERE"}
  timeout: 1s"""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as nobody:  # takes connections, never answers
        text = config(receiver.port, more.replace("PORT", str(nobody.getsockname()[1])),
                      "default: {page: [silent, keyless, pager]}")  # fmt: skip
        stores = home(text)
        raise_alarm(stores)
        began = time.monotonic()
        done = deliver(stores, AT)
        assert time.monotonic() - began < 3
    assert (done.sent, done.again, len(receiver.got)) == (1, 2, 1)
    assert sorted(done.faults) == [
        "alerts.channels.keyless.secret_from: environment variable NOT_SET_ANYWHERE: expected one line of 1 to 4096 "
        "characters, found nothing. Next: set NOT_SET_ANYWHERE where Tidegate is started",
        "channel silent: expected an answer within 1 s, found none. Next: look at what answers there",
    ]
    assert undelivered_pages(stores) == ()  # one channel of it has it


def test_follow_ups_are_joined_and_louder_ones_are_not(home, receiver, raise_alarm):
    stores = home()
    incident = raise_alarm(stores, "2024-01-04", certified=False)  # a ticket
    assert deliver(stores, AT).sent == 1
    raise_alarm(stores, "2024-01-05", AT + MINUTE)  # now a page
    assert deliver(stores, AT + MINUTE).sent == 1
    for i in (1, 2):  # two more, not louder: one message, a quarter of an hour after the last
        raise_alarm(stores, f"2024-01-{10 * i}", AT + (1 + i) * MINUTE, subject=f"other{i}")
        assert deliver(stores, AT + (1 + i) * MINUTE) == Delivered()
    assert deliver(stores, AT + 17 * MINUTE).sent == 1
    said = receiver.bodies
    assert [(b["severity"], b["incident"], b["follow_up"], len(b["alarms"])) for b in said] == [
        ("ticket", incident, False, 1), ("page", incident, True, 1), ("page", incident, True, 2),
    ]  # fmt: skip


def test_a_page_is_repeated_until_somebody_takes_it_on(home, receiver, raise_alarm):
    stores = home()
    incident = raise_alarm(stores)
    deliver(stores, AT)
    assert deliver(stores, AT + 59 * MINUTE) == Delivered()
    assert deliver(stores, AT + 61 * MINUTE).sent == 1
    assert [b["reminder"] for b in receiver.bodies] == [0, 1]
    seen = stores.incidents.get(incident)
    stores.incidents.change(seen, "acknowledged", by="ann", at=AT + 70 * MINUTE)
    assert deliver(stores, AT + 600 * MINUTE) == Delivered()


def test_reminders_end(home, receiver, config, raise_alarm):
    stores = home(config(receiver.port, "  reminders: 2\n"))
    raise_alarm(stores)
    for hour in range(8):
        deliver(stores, AT + hour * 61 * MINUTE)
    assert [b["reminder"] for b in receiver.bodies] == [0, 1, 2]


def test_tickets_wait_for_the_morning_and_pages_do_not(home, receiver, config, raise_alarm):
    routes = """default: {page: [pager], ticket: [pager], digest: [pager], time_zone: Asia/Tokyo,
              quiet: {from: "22:00", to: "07:00"}, digest_at: "09:30"}"""
    stores = home(config(receiver.port, routes=routes))
    night = dt.datetime(2024, 1, 5, 15, tzinfo=dt.UTC)  # midnight in Tokyo
    raise_alarm(stores, at=night, certified=False)
    assert deliver(stores, night) == Delivered()
    assert deliver(stores, night + dt.timedelta(hours=6, minutes=59)) == Delivered()
    assert deliver(stores, night + dt.timedelta(hours=7)).sent == 1
    raise_alarm(stores, "2024-01-05", at=night + dt.timedelta(hours=24))
    assert deliver(stores, night + dt.timedelta(hours=24)).sent == 1
    assert [b["severity"] for b in receiver.bodies] == ["ticket", "page"]


def test_the_digest_comes_once_a_day_in_one_message(home, receiver, alarm_of):
    stores = home()
    lines = [alarm_of("digest", subject=f"column{i}", monitor="feature") for i in range(12)]
    stores.records.put_alarms("bought", "shopkeepers", lines, AT)
    assert deliver(stores, AT) == Delivered()
    assert deliver(stores, AT + dt.timedelta(hours=2)).sent == 1
    (said,) = receiver.bodies
    assert (said["severity"], len(said["alarms"]), said["title"]) == ("digest", 12, "DIGEST for shopkeepers: 12 lines")


def test_old_alarms_are_not_sent_when_the_first_channel_is_declared(home, receiver, alarm_of, raise_alarm):
    stores = home("namespace: lab\n")
    raise_alarm(stores, at=AT - dt.timedelta(days=3))
    assert deliver(stores, AT) == Delivered()
    assert outbox_of(stores).listed() == []
    stores = home()
    assert deliver(stores, AT) == Delivered()
    assert [r.state for r in outbox_of(stores).listed()] == ["stale"]
    assert receiver.connects == 0


def test_a_page_without_a_channel_is_said_to_have_reached_nobody(home, config, receiver, raise_alarm):
    stores = home(config(receiver.port, routes="default: {ticket: [pager]}"))
    raise_alarm(stores)
    deliver(stores, AT)
    (page,) = undelivered_pages(stores)
    assert page.error == "no channel: alerts.routes has none for its pages"


def test_values_of_personal_columns_stay_in_the_home(home, receiver, alarm_of):
    stores = home()
    text = "zip [zip=10115] drifted: unseen 4.0 % of 10115 and 80331, since 2024-01-02."
    told = alarm_of(subject="zip [zip=10115]", text=text, members=("zip [zip=10115]",))
    stores.records.put_alarms("bought", "shopkeepers", [told], AT)
    assert deliver(stores, AT).sent == 1
    ((_, body),) = receiver.got
    assert b"10115" not in body
    assert b"80331" not in body
    assert receiver.bodies[0]["alarms"][0]["text"].startswith("zip drifted, since 2024-01-02.")


def test_a_model_file_that_broke_hides_details_and_holds_nothing_up(home, receiver, alarm_of):
    stores = home()
    told = alarm_of(subject="zip [zip=10115]", text="zip [zip=10115] drifted", members=("zip [zip=10115]",))
    stores.records.put_alarms("bought", "shopkeepers", [told], AT)
    (stores.home.root / "configs/models/bought.yaml").write_text("dataset: [\n")
    assert deliver(stores_of(stores.home), AT).sent == 1
    assert b"10115" not in receiver.got[0][1]


def test_twenty_at_once_send_one_message(home, receiver, raise_alarm):
    stores = home()
    raise_alarm(stores)
    receiver.wait = threading.Event()
    came = []
    threads = [threading.Thread(target=lambda: came.append(deliver(stores, AT).sent)) for _ in range(20)]
    for t in threads:
        t.start()
    receiver.wait.set()
    for t in threads:
        t.join()
    assert (sum(came), len(receiver.got)) == (1, 1)


KILLED = """
import datetime, sys
from pathlib import Path
from tidegate.config.home import Home
from tidegate.steps.alerts import deliver
from tidegate.steps.stores import open_stores
deliver(open_stores(Home.at(Path(sys.argv[1]))), datetime.datetime.fromisoformat(sys.argv[2]))
"""


@pytest.mark.parametrize("after", [0, 1])
def test_killed_while_it_sends_it_is_sent_again_under_the_same_name(home, receiver, raise_alarm, after):
    """Killed before the receiver has it: once. After, and before it is recorded: twice, with the same id."""
    stores = home()
    raise_alarm(stores)
    receiver.wait = threading.Event()
    if after:
        receiver.wait.set()
        receiver.answers = [0, 200]  # 0: has read it and does not answer

    child = subprocess.Popen([sys.executable, "-c", KILLED, str(stores.home.root), AT.isoformat()])
    until = time.monotonic() + 30
    while receiver.connects < 1 or (after and not receiver.got):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    receiver.wait.set()
    assert deliver(stores, AT + dt.timedelta(seconds=5)) == Delivered()  # it may still be at work
    assert deliver(stores, AT + MINUTE).sent == 1
    assert len({b["id"] for b in receiver.bodies}) == 1
    assert [r.state for r in outbox_of(stores).listed()] == ["delivered"]
