"""The `deliver` flow: what is due to the channels, whoever made it due."""

from __future__ import annotations

from prefect import flow

from flows.parameters import Parameters
from tasks.night import deliver_alerts
from tidegate.clock import now
from tidegate.errors import ChannelError
from tidegate.steps.alerts import Delivered


@flow(name="deliver")
def deliver(request: Parameters) -> Delivered:
    """Send new alarms, what failed before, digests and reminders; the run fails if a message was given up."""
    done = deliver_alerts(request.resolved(), now())
    if done.given_up:
        raise ChannelError(f"{done.given_up} messages", "a channel that takes them", "; ".join(done.faults)[:500],
                           "tidegate alerts list")  # fmt: skip
    return done
