"""The profile of a window: its columns on one grid, and how windows are put together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from tidegate.errors import UsageError
from tidegate.profile.column import OTHER, ColumnProfile
from tidegate.profile.grid import ENGINE, Axis, Grid
from tidegate.profile.merging import merge_columns
from tidegate.profile.stacked import Stacked

SEGMENTS = 50
"""At most so many segments are kept apart; the smallest are put together in OTHER."""
MISSING = "\x00missing"
"""The segment of rows without a value in the segments' column."""
FAMILIES = {"bool": "boolean", "string": "text", "large_string": "text", "string_view": "text", "null": "nothing"}
TIMES = ("timestamp", "date", "time", "duration")


@dataclass(frozen=True)
class Profile:
    """The columns of one window, or of several merged, on one grid.

    ``schema`` is the Arrow type each column had (several with ``|`` between them, where parts
    differed). ``segments`` are the profiles of the rows by value of the column ``by``, if asked for.
    """

    grid: Grid
    columns: Mapping[str, ColumnProfile]
    schema: Mapping[str, str] = field(default_factory=dict)
    by: str | None = None
    segments: Mapping[str, Profile] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows profiled."""
        return max((c.n for c in self.columns.values()), default=0)

    @property
    def engine(self) -> str:
        """The engine whose buckets these are."""
        return ENGINE

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: grid, schema, every count and moment, segments."""
        from tidegate.profile.table import profile_digest

        return profile_digest(self)

    @cached_property
    def numbers(self) -> Stacked:
        """The columns that are numbers, one after another in one array; sorted by name."""
        return Stacked({n: c for n, c in sorted(self.columns.items()) if c.axis.kind == "number"})

    def only(self, columns: Collection[str]) -> Profile:
        """The profile of some columns, in the grid's order, on a grid of those; without segments.

        The same columns of the same grid give the same grid object. Raises `UsageError` for a
        column that the grid does not have.
        """
        if extra := set(columns) - set(self.grid.axes):
            raise UsageError(
                "profile", f"some of the columns {', '.join(self.grid.axes)}", ", ".join(sorted(extra)), "correct them"
            )
        wanted = set(columns)
        grid = _part_of(tuple((n, a) for n, a in self.grid.axes.items() if n in wanted), self.grid.max_categories)
        schema = {n: kind for n, kind in self.schema.items() if n in wanted}
        return Profile(grid, {n: self.columns[n] for n in grid.axes}, schema)

    def merge(self, other: Profile) -> Profile:
        """The profile of both windows' rows; raises `UsageError` if the grids differ."""
        return merge_all([self, other])


def merge_all(profiles: Sequence[Profile], *, slack: int = 1) -> Profile:
    """The profile of all the windows' rows, in linear time, the same bits in whatever order.

    Counts are those of the whole table as long as no column has more categories than the grid's
    cap, and no more than 50 segments. Parts of a whole that is cut later keep `slack` times as many.

    Raises
    ------
    UsageError
        There is no profile, the grids differ, or a column was of another kind.
    """
    if not profiles:
        raise UsageError("profile merge", "at least one profile", "none", "check that the windows were profiled")
    grid, by = profiles[0].grid, profiles[0].by
    for p in profiles:
        if p.grid is not grid and p.grid.digest != grid.digest:
            raise UsageError(
                "profile merge", f"grid {grid.digest[:12]}", f"grid {p.grid.digest[:12]}", "profile both on one grid"
            )
        if p.by != by:
            raise UsageError("profile merge", f"segments by {by}", f"by {p.by}", "profile both by the same column")
    columns = {n: merge_columns([p.columns[n] for p in profiles], slack * grid.max_categories) for n in grid.axes}
    schema: dict[str, str] = dict(profiles[0].schema)
    for p in profiles[1:]:
        schema = same_schema(schema, p.schema)
    parts: dict[str, list[Profile]] = {}
    for p in profiles:
        for value, segment in p.segments.items():
            parts.setdefault(value, []).append(segment)
    segments = {value: merge_all(found, slack=slack) for value, found in parts.items()}
    return Profile(grid, columns, schema, by, largest_segments(segments, slack))


@lru_cache(maxsize=256)
def _part_of(axes: tuple[tuple[str, Axis], ...], max_categories: int) -> Grid:
    """One object for one grid, so that its digest is taken once and it is known by identity."""
    return Grid(dict(axes), max_categories)


def largest_segments(segments: Mapping[str, Profile], slack: int = 1) -> dict[str, Profile]:
    """At most `SEGMENTS` (times `slack`) by rows, the rest merged into OTHER; sorted by name."""
    room = SEGMENTS * slack
    if len(segments) > room:
        order = sorted((s for s in segments if s != OTHER), key=lambda s: (-segments[s].n, s))
        kept = {s: segments[s] for s in order[: room - 1]}
        segments = {**kept, OTHER: merge_all([segments[s] for s in sorted(segments) if s not in kept])}
    return dict(sorted(segments.items()))


def same_schema(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """Both sides' types by column; refused where a column was text, a time, a truth value or a
    number on one side and another of these on the other."""
    if a == b:
        return dict(a)
    out = dict(a)
    for name, found in b.items():
        known = out.get(name, found)
        if known != found:
            kinds = {_family(kind) for kind in (*known.split("|"), *found.split("|"))} - {"nothing"}
            if len(kinds) > 1:
                raise UsageError(f"profile column {name}", known, found, "convert it in the source")
            types = {*known.split("|"), *found.split("|")}
            known = "|".join(sorted(types - {"null"} or types))
        out[name] = known
    return dict(sorted(out.items()))


def _family(kind: str) -> str:
    return FAMILIES.get(kind, "time" if kind.startswith(TIMES) else "number")
