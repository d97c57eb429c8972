"""Verbs for data files, without a home or a model: `profile`, `merge`, `drift`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.drifttable import FINE, classifier_words, drift_line, drift_row, number, shown, size
from tidegate.cli.output import Json, json_text, show
from tidegate.errors import UsageError
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.drift.classifier import ClassifierTest
    from tidegate.profile.grid import Grid
    from tidegate.profile.window import Profile

ROWS, MARGIN, SEED = 5000, 0.55, 1
"""Of the classifier: rows of each side, the largest AUC that does not matter, and of the draw."""
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

    made = profile_files(files, like=read_profile(like).grid if like else None, by=by, columns=_wanted(columns))
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
    confidence: Annotated[float, typer.Option(help="Of the limit of PSI, and of the bounds of every distance.")] = 0.99,
    segments: Annotated[bool, typer.Option("--segments", help="Also each segment that both profiles have.")] = False,
    multivariate: Annotated[
        bool, typer.Option("--multivariate", help="Also all columns together: can a classifier tell the sides apart?")
    ] = False,
    columns: Annotated[str | None, typer.Option(help="Only these columns, with commas between them.")] = None,
    as_json: Json = False,
) -> None:
    """How far the current data are from the reference: every column with its bounds, the farthest first.

    --multivariate needs data on both sides, at most 5,000 rows of each are drawn. Times and free text are left out
    of it; leave out keys with --columns: they tell the sides apart by themselves.
    """
    from tidegate.drift.bounds import profile_bounds
    from tidegate.drift.compare import compare
    from tidegate.profile.column import resolution

    wanted = _wanted(columns)
    if multivariate:
        _data_only(reference, current)
    before, after = _both(reference, current)
    _known(wanted, before)
    pairs = [("", before, after)]
    if segments:
        pairs += [(s, p, after.segments[s]) for s, p in before.segments.items() if s in after.segments]
    found = [(s, d, resolution(ref.columns[d.column]), around[d.column])
             for s, ref, cur in pairs for around in [profile_bounds(ref, cur, confidence=confidence)]
             for d in compare(ref, cur, confidence=confidence) if wanted is None or d.column in wanted]  # fmt: skip
    found.sort(key=lambda r: (-size(r[1]), r[1].column, r[0]))
    rows = [({"segment": (s or None) if as_json else printable(shown(s)) or "all"} if segments else {})
            | (drift_row if as_json else drift_line)(d, around, coarse) for s, d, coarse, around in found]  # fmt: skip
    test = _classifier(reference, current, before, wanted, confidence) if multivariate else None
    if as_json:
        typer.echo(json_text({"columns": rows, "multivariate": asdict(test) | {"margin": MARGIN}} if test else rows))
        return
    typer.echo(f"{after.n:,} rows against {before.n:,} of the reference, the column that moved farthest first")
    if not (before.n and after.n):
        typer.echo("A side has no rows: nothing can be said.")
    show(rows, False, empty="no columns")
    typer.echo(f"Below each distance its {confidence * 100:g} % bounds, as if rows were independent.")
    if test:
        typer.echo(classifier_words(test, confidence, MARGIN))


def _wanted(columns: str | None) -> list[str] | None:
    """The names between commas; None if the option was left out."""
    wanted = [c.strip() for c in columns.split(",") if c.strip()] if columns is not None else None
    if wanted is not None and not wanted:
        raise UsageError("--columns", "at least one name", "none", "name some columns, or leave it out")
    return wanted


def _known(wanted: list[str] | None, profile: Profile) -> None:
    for name in wanted or ():
        if name not in profile.columns:
            raise UsageError(f"column {name}", f"one of {', '.join(profile.columns)}", "no such column", "name another")


def _data_only(*sides: str) -> None:
    from tidegate.adapters.profilefile import is_profile

    for side in sides:
        if is_profile(side):
            raise UsageError("--multivariate", "data on both sides", f"the profile {side}", "name the data files")


def _classifier(
    reference: str, current: str, grid: Profile, wanted: list[str] | None, confidence: float
) -> ClassifierTest:
    """Whether rows drawn from both sides can be told apart by their columns together."""
    import numpy as np

    from tidegate.adapters.samples import sample_files
    from tidegate.drift.classifier import classifier_test
    from tidegate.profile.arrow import family

    rng = np.random.default_rng(SEED)
    asked = [n for n, axis in grid.grid.axes.items() if axis.of != "length" and (wanted is None or n in wanted)]
    sides = [sample_files([name], asked, ROWS, rng) for name in (reference, current)]
    columns = [n for n in asked if not any(family(t.schema.field(n).type) == "time" for t in sides)]
    if not columns:
        expected = "a number, a boolean or a category"
        raise UsageError("--multivariate", expected, "times and free text only", "name other --columns")
    return classifier_test(*sides, rng=rng, columns=columns, margin=MARGIN, alpha=(1 - confidence) / 2, rows=ROWS)


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


def _print(made: Profile, as_json: bool) -> None:
    from tidegate.profile.column import resolution

    rows = []
    for name, c in made.columns.items():
        numeric = c.axis.kind == "number"
        facts: dict[str, Any] = {
            "column": name,
            "type": made.schema.get(name, ""),
            "missing": c.missing,
            "infinite": c.infinite,
            "mean": c.mean,
            "std": c.std,
            "low": c.low if c.present and numeric else None,
            "high": c.high if c.present and numeric else None,
            "values": None if numeric else len(c.names),
            "most": None if numeric or not c.names else shown(c.names[int(c.rows.argmax())]),
            "resolution": resolution(c),
        }
        rows.append(facts if as_json else _facts(facts, c.n, c.axis.of == "length"))
    if not as_json:
        show(rows, False, empty="no columns")
        if made.by:
            typer.echo(f"{len(made.segments)} segments by {printable(made.by)}: " + ", ".join(
                f"{printable(shown(s))} {p.n:,}" for s, p in made.segments.items()))  # fmt: skip
        return
    parts = {shown(s): p.n for s, p in made.segments.items()}
    about = {"engine": made.engine, "grid": made.grid.digest, "digest": made.digest, "rows": made.n}
    typer.echo(json_text(about | {"by": made.by, "segments": parts, "columns": rows}))


def _facts(facts: dict[str, Any], n: int, length: bool) -> dict[str, Any]:
    coarse = facts["resolution"] > FINE
    return {
        "column": printable(facts["column"]),
        "type": printable(facts["type"]) + (" (length)" if length else ""),
        "missing": f"{facts['missing'] / n:.1%}" if n and facts["missing"] else "",
        "±inf": f"{facts['infinite']:,}" if facts["infinite"] else "",
        **{k: number(facts[k]) for k in ("mean", "std", "low", "high")},
        "values": facts["values"],
        "most": None if facts["most"] is None else printable(facts["most"]),
        "": f"KS only to ±{facts['resolution']:.4f}" if coarse else "",
    }


def add_to(app: typer.Typer) -> None:
    for verb in (profile, merge, drift):
        app.command()(verb)
