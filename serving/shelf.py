"""The versions that a worker has ready: loaded, smoke-tested, their fast path proven.

The last ones stay, so that going back takes no time. One that is about to become champion is made ready beside the
loop, from its intent in the ledger on, while the old one answers and the promoter does its own tests.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from serving.hosted import Hosted, host
from serving.lane import Lane
from tidegate.adapters.packages import Loaded, load
from tidegate.adapters.proofs import Proofs
from tidegate.config.home import Home
from tidegate.errors import IntegrityError
from tidegate.steps.switch import smoke_test

FETCH = 120.0
KEPT = 3
"""Versions of a model that a worker keeps in memory."""
said = logging.getLogger("tidegate.serving")
Key = tuple[str, str]


class Fetch(threading.Thread):
    """Fetches a package by a process of its own, which may hang; `fault` says why it did not come."""

    def __init__(self, home: Home, model: str, version: int, digest: str) -> None:
        super().__init__(name=f"fetch {model} {version}", daemon=True)
        words = [sys.executable, "-m", "serving.fetch", str(home.root), str(home.state), model, digest]
        self.words, self.fault = [*words, str(version)], ""

    def run(self) -> None:
        """Ask, for two minutes at most."""
        try:
            done = subprocess.run(self.words, capture_output=True, text=True, timeout=FETCH, check=False)
            self.fault = done.stderr.strip()[-300:] if done.returncode else ""
        except subprocess.TimeoutExpired:
            self.fault = f"a registry that does not answer within {FETCH:.0f} s"


class Shelf:
    """The ready versions of every model of a worker. `take` is called by one thread."""

    def __init__(self, home: Home) -> None:
        self.home, self.proofs = home, Proofs(home.state / "serving" / "proofs")
        self._ready: dict[Key, Hosted] = {}
        self._fetching: dict[str, Fetch] = {}
        self._making: dict[Key, Future[Hosted]] = {}
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="ready")

    def close(self) -> None:
        """Begin nothing more."""
        self._beside.shutdown(wait=False, cancel_futures=True)

    def come(self, digest: str | None) -> bool:
        """Whether a package that was being fetched has come, or will not."""
        going = self._fetching.get(digest or "")
        return going is not None and not going.is_alive()

    def warm(self, lane: Lane, version: int, digest: str) -> None:
        """Begin to make a version ready whose package is at hand; what fails is tried again when it is taken."""
        key = (lane.model.name, digest)
        if key in self._ready or key in self._making or not self._folder(*key).is_dir():
            return
        # What was meant before and never came is forgotten.
        for old in [k for k, made in self._making.items() if k[0] == key[0] and made.done()]:
            del self._making[old]
        self._making[key] = self._beside.submit(self._made, lane, version, digest)

    def take(self, lane: Lane, version: int, digest: str, revision: int) -> Hosted:
        """A version that is ready, made so now if it is not.

        Raises
        ------
        Exception
            Whatever its package may provoke.
        """
        key = (lane.model.name, digest)
        known, making = self._ready.pop(key, None), self._making.pop(key, None)
        if known is None and making is not None and not making.cancel():
            try:
                known = making.result()
            except Exception as fault:  # what it met beside the loop it meets again here, where somebody is told
                said.info("%s: version %d was not made ready: %s", lane.model.name, version, fault)
        known = replace(known or self._made(lane, version, digest), version=version, revision=revision)
        self._ready[key] = known
        for old in [k for k in self._ready if k[0] == lane.model.name][:-KEPT]:
            del self._ready[old]
        return known

    def _made(self, lane: Lane, version: int, digest: str) -> Hosted:
        package = self._package(lane.model.name, version, digest)
        smoke_test(package)
        return host(package, lane.dataset, lane.model, lane.payload.columns, version, 0, self.proofs)

    def _folder(self, model: str, digest: str) -> Path:
        return self.home.state / "packages" / model / digest

    def _package(self, model: str, version: int, digest: str) -> Loaded:
        """The package from the local folder; what is not there is fetched by a process that may hang by itself."""
        folder = self._folder(model, digest)
        if not folder.is_dir():
            self._fetch(folder, model, version, digest)
        return load(folder.resolve(), digest)

    def _fetch(self, folder: Path, model: str, version: int, digest: str) -> None:
        """Ask the registry beside the loop, which has keys and other models to look after.

        Raises
        ------
        IntegrityError
            Until it has come: the plan is tried again.
        """
        thing = f"package of version {version} of {model}"
        going = self._fetching.get(digest)
        if going is None:
            going = self._fetching[digest] = Fetch(self.home, model, version, digest)
            going.start()
        if going.is_alive():
            raise IntegrityError(thing, "a local copy", "none; it is being fetched", "wait, or tidegate rollback")
        del self._fetching[digest]
        if not folder.is_dir():
            raise IntegrityError(thing, "a local copy, or one in the registry", going.fault or "neither",
                                 "mend the registry, or tidegate rollback")  # fmt: skip


__all__ = ["Fetch", "Shelf"]
