"""Which peer runs at which size, how often, and why some do not."""

from __future__ import annotations

from dataclasses import dataclass, field

SMALL, MEDIUM, LARGE = 100_000, 1_000_000, 5_000_000
TOO_LONG = "left out to keep the whole under 25 minutes: {}. Run it with --peers {} --sizes {}"


@dataclass(frozen=True)
class Peer:
    """One row of the table: ``env`` names its pins (None: Tidegate's own interpreter).

    ``runs`` are warm runs by number of rows; ``cold`` of them are repeated with the files out of
    the page cache. ``skipped`` says why a size is not run.
    """

    name: str
    title: str
    script: str
    env: str | None
    options: tuple[str, ...] = ()
    runs: dict[int, int] = field(default_factory=dict)
    quick: dict[int, int] = field(default_factory=dict)
    cold: int = 0
    skipped: dict[int, str] = field(default_factory=dict)


PEERS = (
    Peer("tidegate", "Tidegate", "by_tidegate.py", None, (), {SMALL: 5, MEDIUM: 5, LARGE: 3}, {SMALL: 3, MEDIUM: 3}, 2),
    Peer("decode", "Parquet decode alone", "by_decode.py", None, (), {SMALL: 5, MEDIUM: 5, LARGE: 3},
         {SMALL: 3, MEDIUM: 3}, 2),
    Peer("scipy", "scipy KS + χ²", "by_scipy.py", "scipy", (), {SMALL: 5, MEDIUM: 3, LARGE: 1}, {SMALL: 3, MEDIUM: 3}),
    Peer("evidently", "Evidently", "by_evidently.py", "evidently", (), {SMALL: 3, MEDIUM: 1}, {SMALL: 1},
         skipped={LARGE: TOO_LONG.format("about ten minutes a run", "evidently", LARGE)}),
    Peer("evidently-50k", "Evidently on 50,000 rows", "by_evidently.py", "evidently", ("--sample", "50000"),
         {MEDIUM: 1}, {MEDIUM: 1},
         skipped={s: TOO_LONG.format("the same sample", "evidently-50k", s) for s in (SMALL, LARGE)}),
    Peer("evidently-psi", "Evidently, PSI", "by_evidently.py", "evidently", ("--method", "psi"), {SMALL: 1}, {},
         skipped={s: TOO_LONG.format("a second pass of Evidently", "evidently-psi", s) for s in (MEDIUM, LARGE)}),
    Peer("nannyml", "NannyML", "by_nannyml.py", "nannyml", (), {SMALL: 3, MEDIUM: 2}, {SMALL: 1, MEDIUM: 1},
         skipped={LARGE: TOO_LONG.format("minutes a run", "nannyml", LARGE)}),
    Peer("whylogs", "whylogs", "by_whylogs.py", "whylogs", (), {SMALL: 3, MEDIUM: 1}, {SMALL: 1},
         skipped={LARGE: TOO_LONG.format("minutes a run", "whylogs", LARGE)}),
)  # fmt: skip
