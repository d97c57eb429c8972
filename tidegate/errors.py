"""Every fault Tidegate raises, and the exit code the command gives for it.

A *decision* ("drift found", "candidate rejected", "not enough data") is a value,
never an exception. A *fault* is one of these::

    TidegateError            1  something broke
      UsageError             2  the command or call was wrong
        ConfigError          2  a configuration file was wrong
      SourceError            1  the data or the user's code could not be read or run
      CheckBroke             1  a quality check could not be evaluated
      StoreError             1  the lake or the control database failed
        IntegrityError       1  stored bytes differ from what was recorded
        StaleToken           1  a lease was lost: another run took over
      RegistryError          1  the model registry failed or refused
      PlanConflict           1  somebody else changed the serving plan first
"""

from __future__ import annotations


class TidegateError(Exception):
    """Base of all faults: says what was expected, what was found, what to do next.

    Parameters
    ----------
    thing : str
        What the fault is about, as the user knows it (a file, a key, a table).
    expected, found : str
        What should have been there, and what was.
    do : str
        The next step, as a command or an edit.
    """

    exit_code = 1

    def __init__(self, thing: str, expected: str = "", found: str = "", do: str = "") -> None:
        # What a user's code says may have many lines; a fault has one.
        thing, expected, found, do = (" ".join(part.split()) for part in (thing, expected, found, do))
        self.thing, self.expected, self.found, self.do = thing, expected, found, do
        parts = [thing]
        if expected:
            parts.append(f"expected {expected}")
        if found:
            parts.append(f"found {found}")
        text = ": ".join(parts[:1]) + (": " + ", ".join(parts[1:]) if parts[1:] else "")
        super().__init__(text + (f". Next: {do}" if do else ""))

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), (self.thing, self.expected, self.found, self.do)


class UsageError(TidegateError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class SourceError(TidegateError):
    pass


class Unreadable(SourceError):
    pass


class CheckBroke(TidegateError):
    pass


class StoreError(TidegateError):
    pass


class IntegrityError(StoreError):
    pass


class StaleToken(StoreError):
    pass


class RegistryError(TidegateError):
    pass


class PlanConflict(TidegateError):
    pass


class ChannelError(TidegateError):
    pass
