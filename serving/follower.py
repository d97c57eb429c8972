"""Follows the serving plans: loads, smoke-tests, switches, acknowledges. A thread of each worker.

Control is the truth; while it cannot be read, the last plans that it told are followed, from a file beside the
packages. A version that cannot be loaded leaves the one in place that answers, and control hears why.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serving.lane import Lane
from serving.shelf import Shelf
from tidegate.adapters.acks import Acks
from tidegate.adapters.apikeys import ROLES, ApiKeys
from tidegate.adapters.control import Control, open_control
from tidegate.adapters.plans import Plans
from tidegate.config.home import Home
from tidegate.errors import StoreError, TidegateError
from tidegate.rollout.plan import ServingPlan

BEAT = 2.0
AGAIN = 15.0
"""Seconds after which a version that could not be loaded is tried once more."""
said = logging.getLogger("tidegate.serving")


class Follower(threading.Thread):
    """Keeps the lanes at their plans, and the keys at what control says.

    Attributes
    ----------
    keys : dict
        What each running key may do, by its digest: the key's name and the rights of its role.
    up : bool
        Whether control could be read the last time.
    """

    def __init__(
        self, home: Home, namespace: str, lanes: dict[str, Lane], worker: str, poll: float,
        each_look: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__(name="follower", daemon=True)
        self.home, self.namespace, self.lanes, self.worker, self.poll = home, namespace, lanes, worker, poll
        self.each_look, self.keys, self.up = each_look, dict[str, tuple[str, tuple[str, ...]]](), False
        self._control: Control | None = None
        self._over, self._beaten = threading.Event(), 0.0
        self._owed: set[str] = set()
        self.shelf, self._heard = Shelf(home), -1

    # -- the loop -----------------------------------------------------------------------
    def run(self) -> None:
        """Look, and look again, until `stop`."""
        while not self._over.wait(self.poll):
            try:
                self.look()
                self.each_look()
            except Exception as fault:  # whatever it is, the versions in place go on answering
                said.error("follower: %s: %s", type(fault).__name__, fault)

    def stop(self) -> None:
        """End the loop, and say that this worker is gone."""
        self._over.set()
        self.shelf.close()
        if self.is_alive():
            self.join(timeout=10)
        if self._control is not None:
            try:
                Acks(self._control, self.namespace).gone(self.worker)
            except TidegateError as fault:
                said.warning("not said that this worker is gone: %s", fault)

    def look(self) -> None:
        """Read plans and keys once, and switch what has changed."""
        plans = self._read()
        for name, plan in plans.items():
            lane = self.lanes[name]
            late = lane.fault and (time.monotonic() - lane.tried > AGAIN or self.shelf.come(plan.champion_digest))
            if plan.revision != lane.revision or late:
                self._switch(lane, plan)
            elif name in self._owed:
                self._say(lane, plan)
        now = time.monotonic()
        if self.up and now - self._beaten > BEAT and self._control is not None:
            self._beaten = now
            Acks(self._control, self.namespace).beat(self.worker)
        for lane in self.lanes.values():
            lane.log.tick()

    def _read(self) -> dict[str, ServingPlan]:
        try:
            if self._control is None:
                self._control = open_control(self.home.state)
            plans = Plans(self._control, self.namespace)
            self._warm(plans)
            found = {name: plans.get(name) for name in self.lanes}
            keys = {k.digest: (k.name, ROLES[k.role]) for k in ApiKeys(self._control, self.namespace).running()}
            if keys != self.keys:
                self._write(self._keys_file, {d: [name, list(rights)] for d, (name, rights) in keys.items()})
            self.keys = keys
            self.up = True
            return found
        except (StoreError, OSError) as fault:
            if self.up or self._control is None:
                said.error("control cannot be read, so the last plans are followed: %s", fault)
            self.up = False
            if not self.keys:
                known = self._kept_in(self._keys_file)
                self.keys = {d: (str(v[0]), tuple(v[1])) for d, v in known.items() if isinstance(v, list)}
            # Without control's word only lanes that have nothing yet take the file's.
            return {n: p for n, p in self._remembered().items() if n in self.lanes and self.lanes[n].hosted is None}

    def _warm(self, plans: Plans) -> None:
        """Make ready what somebody is about to put into a plan."""
        self._heard, meant = plans.intended(self._heard)
        for model, version, digest in meant:
            if model in self.lanes:
                self.shelf.warm(self.lanes[model], version, digest)

    # -- switching ----------------------------------------------------------------------
    def _switch(self, lane: Lane, plan: ServingPlan) -> None:
        lane.tried, name = time.monotonic(), lane.model.name
        if plan.champion is None or plan.champion_digest is None:
            lane.hosted, lane.fault, lane.revision = None, "", plan.revision
            lane.why = f"{name} has no champion yet: tidegate retrain {name}"
            self._say(lane, plan)
            return
        try:
            fresh = self.shelf.take(lane, plan.champion, plan.champion_digest, plan.revision)
        except Exception as fault:  # whatever a package may provoke: the version in place goes on answering
            lane.fault = " ".join(f"{fault}".split()) or type(fault).__name__
            lane.why, lane.revision = f"version {plan.champion} cannot be served: {lane.fault}", plan.revision
            said.error("%s: %s", name, lane.why)
            self._say(lane, plan)
            return
        lane.hosted, lane.fault, lane.revision = fresh, "", plan.revision
        how = "fast path" if fresh.prepared.fast else f"no fast path: {fresh.prepared.why}"
        said.info("%s: version %d serves (revision %d, %s)", name, fresh.version, plan.revision, how)
        self._say(lane, plan)
        if self.up:
            self._remember(plan)

    def _say(self, lane: Lane, plan: ServingPlan) -> None:
        name, hosted = lane.model.name, lane.hosted
        self._owed.add(name)
        if self._control is None or not self.up:
            return
        try:
            Acks(self._control, self.namespace).say(
                name, self.worker, owner=lane.model.owner, revision=plan.revision,
                version=hosted.version if hosted else None, package=hosted.package.digest if hosted else None,
                fault=lane.fault,
            )  # fmt: skip
            self._owed.discard(name)
        except StoreError as fault:
            said.warning("%s: not acknowledged yet: %s", name, fault)

    # -- what control said last -----------------------------------------------------------
    @property
    def _file(self) -> Path:
        return self.home.state / "serving" / "plans.json"

    @property
    def _keys_file(self) -> Path:
        return self.home.state / "serving" / "keys.json"

    def _remember(self, plan: ServingPlan) -> None:
        self._write(self._file, {n: asdict(p) for n, p in self._remembered().items()} | {plan.model: asdict(plan)})

    def _remembered(self) -> dict[str, ServingPlan]:
        try:
            return {n: ServingPlan(**p) for n, p in self._kept_in(self._file).items()}
        except TypeError:
            return {}

    def _write(self, file: Path, body: dict[str, Any]) -> None:
        new = file.with_suffix(f".{os.getpid()}")
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                json.dump(body, out)
            os.replace(new, file)
        except OSError as fault:
            said.warning("%s is not remembered: %s", file.name, fault)

    def _kept_in(self, file: Path) -> dict[str, Any]:
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


__all__ = ["Follower"]
