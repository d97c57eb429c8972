"""Verbs for data files, without a home or a model: `profile`, `merge`, `drift`."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, show
from tidegate.errors import UsageError

if TYPE_CHECKING:
    from tidegate.drift.compare import Drift
    from tidegate.profile.grid import Grid
    from tidegate.profile.window import Profile

FINE = 0.0005
Out = Annotated[Path, typer.Option("-o", "--output", help="The .profile file to write.")]
Side = Annotated[str, typer.Argument(help="A .profile file, or data: a file, folder, pattern or Delta table.")]


def profile(
    files: Annotated[list[str], typer.Argument(help="Parquet or CSV files, folders, patterns, Delta tables.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The .profile file to write.")] = None,
    like: Annotated[Path | None, typer.Option(help="Profile on the grid of this .profile, to compare with it.")] = None,
    by: Annotated[str | None, typer.Option(help="Also profile the rows of each value of this column.")] = None,
    columns: Annotated[str | None, typer.Option(help="Only these columns, with commas between them.")] = None,
    as_json: Json = False,
) -> None:
    """Summarise data files in one pass; the summary can be merged and compared.

    Without --like the grid is fitted to at most 65,536 of the first row group's rows: profile
    later data with --like, so that the two can be compared.
    """
    from tidegate.adapters.profilefile import read_profile, write_profile
    from tidegate.adapters.profiling import profile_files

    wanted = [c.strip() for c in columns.split(",") if c.strip()] if columns is not None else None
    if wanted is not None and not wanted:
        raise UsageError("--columns", "at least one name", "none", "name the columns to profile, or leave it out")
    made = profile_files(files, like=read_profile(like).grid if like else None, by=by, columns=wanted)
    if output is not None:
        write_profile(made, output)
    if not as_json:
        grid = f"as in {like}" if like else "fitted to the first row group"
        wrote = f", written to {output}" if output else ""
        typer.echo(f"{made.n:,} rows of {len(made.columns)} columns, grid {made.grid.digest[:12]} {grid}{wrote}")
    _print(made, as_json)


def merge(
    profiles: Annotated[list[Path], typer.Argument(help="The .profile files, on one grid.")],
    output: Out,
    as_json: Json = False,
) -> None:
    """Put profiles together; the same as profiling all their rows at once."""
    from tidegate.adapters.profilefile import read_profile, write_profile
    from tidegate.profile.window import merge_all

    made = merge_all([read_profile(path) for path in profiles])
    write_profile(made, output)
    if not as_json:
        typer.echo(f"{made.n:,} rows of {len(made.columns)} columns from {len(profiles)} profiles, written to {output}")
    _print(made, as_json)


def drift(
    reference: Side,
    current: Side,
    confidence: Annotated[float, typer.Option(help="Of the PSI that undrifted rows stay below.")] = 0.99,
    segments: Annotated[bool, typer.Option("--segments", help="Also each segment that both profiles have.")] = False,
    as_json: Json = False,
) -> None:
    """How far the current data are from the reference: every column, the farthest first."""
    from tidegate.drift.compare import compare

    before, after = _both(reference, current)
    pairs = [("", before, after)]
    if segments:
        pairs += [(s, p, after.segments[s]) for s, p in before.segments.items() if s in after.segments]
    rows = [(segment, d, ref) for segment, ref, cur in pairs for d in compare(ref, cur, confidence=confidence)]
    rows.sort(key=lambda r: (-_size(r[1]), r[1].column, r[0]))
    if not as_json:
        typer.echo(f"{after.n:,} rows against {before.n:,} of the reference, the column that moved farthest first")
        if not (before.n and after.n):
            typer.echo("A side has no rows: nothing can be said.")
    show([(_json if as_json else _line)(s, d, ref, segments) for s, d, ref in rows], as_json, empty="no columns")


def _both(reference: str, current: str) -> tuple[Profile, Profile]:
    """Both sides on one grid: that of the side that is a profile already, else the reference's."""
    from tidegate.adapters.profilefile import is_profile

    if is_profile(current) and not is_profile(reference):
        after = _side(current, None)
        return _side(reference, after.grid), after
    before = _side(reference, None)
    return before, _side(current, before.grid)


def _side(name: str, like: Grid | None) -> Profile:
    from tidegate.adapters.profilefile import is_profile, read_profile
    from tidegate.adapters.profiling import profile_files

    return read_profile(Path(name)) if is_profile(name) else profile_files([name], like=like)


def _size(d: Drift) -> float:
    """How far a column moved, in [0, 1]: the one distance that numbers and categories share."""
    return d.js if math.isfinite(d.js) else -1.0


def _json(segment: str, d: Drift, reference: Profile, segments: bool) -> dict[str, Any]:
    """All that is known of one column. The one place where intervals of the distances are added."""
    row = {"segment": segment or None} if segments else {}
    return row | {k: _finite(v) for k, v in asdict(d).items()} | {"resolution": _resolution(d, reference)}


def _line(segment: str, d: Drift, reference: Profile, segments: bool) -> dict[str, Any]:
    """The same for people."""
    coarse = _resolution(d, reference) or 0.0
    row = {"segment": _shown(segment) or "all"} if segments else {}
    return row | {
        "column": d.column,
        "PSI": _number(d.psi),
        "limit": _number(d.psi_limit),
        "JS": _number(d.js),
        "KS": _number(d.ks) + (f" ±{coarse:.4f}" if coarse > FINE else ""),
        "W1/σ": _number(d.w1_sigma),
        "missing": f"{d.missing:+.1%}" if math.isfinite(d.missing) and d.missing else "",
        "unseen": f"{d.unseen:.1%}" if d.unseen > 0 else "",
        "±inf": f"{d.infinite:,}" if d.infinite else "",
        "": "beyond the limit" if d.psi > d.psi_limit else "",
    }


def _resolution(d: Drift, reference: Profile) -> float | None:
    from tidegate.profile.column import resolution

    found = resolution(reference.columns[d.column])
    return found if math.isfinite(found) else None


def _print(made: Profile, as_json: bool) -> None:
    from tidegate.profile.column import resolution

    rows = []
    for name, c in made.columns.items():
        number = c.axis.kind == "number"
        facts: dict[str, Any] = {
            "column": name,
            "type": made.schema.get(name, ""),
            "missing": c.missing,
            "infinite": c.infinite,
            "mean": _finite(c.mean),
            "std": _finite(c.std),
            "low": _finite(c.low) if c.present and number else None,
            "high": _finite(c.high) if c.present and number else None,
            "values": None if number else len(c.names),
            "most": None if number or not c.names else _shown(c.names[int(c.rows.argmax())]),
            "resolution": _finite(resolution(c)),
        }
        rows.append(facts if as_json else _facts(facts, c.n, c.axis.of == "length"))
    if not as_json:
        show(rows, False, empty="no columns")
        if made.by:
            typer.echo(f"{len(made.segments)} segments by {made.by}: " + ", ".join(
                f"{_shown(s)} {p.n:,}" for s, p in made.segments.items()))  # fmt: skip
        return
    parts = {_shown(s): p.n for s, p in made.segments.items()}
    about = {"engine": made.engine, "grid": made.grid.digest, "digest": made.digest, "rows": made.n}
    import json

    typer.echo(json.dumps(about | {"by": made.by, "segments": parts, "columns": rows}, indent=1))


def _facts(facts: dict[str, Any], n: int, length: bool) -> dict[str, Any]:
    coarse = (facts["resolution"] or 0.0) > FINE
    return {
        "column": facts["column"],
        "type": facts["type"] + (" (length)" if length else ""),
        "missing": f"{facts['missing'] / n:.1%}" if n and facts["missing"] else "",
        "±inf": f"{facts['infinite']:,}" if facts["infinite"] else "",
        **{k: _number(facts[k]) for k in ("mean", "std", "low", "high")},
        "values": facts["values"],
        "most": facts["most"],
        "": f"KS only to ±{facts['resolution']:.4f}" if coarse else "",
    }


def _shown(name: str) -> str:
    return {"\x00other": "(other)", "\x00missing": "(missing)"}.get(name, name)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.4f}" if 1e-4 <= abs(value) < 1e4 or not value else f"{value:.4g}"


def add_to(app: typer.Typer) -> None:
    for verb in (profile, merge, drift):
        app.command()(verb)
