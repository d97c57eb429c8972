"""The guard against poisoned labels: whole groups that are flipped, clean candidates, and too little to say."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tidegate.config.dataset import Column, Dataset, Source
from tidegate.gate.poisoning import Labelled, Sources, groups_of, guarded, poisoning
from tidegate.gate.rise import holm, mean_by_blocks, p_above, ranked_by_blocks
from tidegate.performance.blocks import Estimate

NIGHTS, ROWS = 36, 250


def history(seed, flipped=0.0, group="c1", first=0):
    """Nights with a shock each; a champion that knows the truth, and a candidate that learned flipped labels."""
    rng = np.random.default_rng(seed)
    n = NIGHTS * ROWS
    night = np.repeat([f"{i + first:04d}" for i in range(NIGHTS)], ROWS)
    carrier = rng.choice([f"c{i}" for i in range(16)], n, p=[0.19, *[0.054] * 15])
    z = rng.normal(-1.2, 0.8, n)
    shock = rng.normal(0, 0.45, NIGHTS)[np.repeat(np.arange(NIGHTS), ROWS)]
    y = (rng.random(n) < 1 / (1 + np.exp(-z - shock))).astype(int)
    theirs = 1 / (1 + np.exp(-z - rng.normal(0, 0.1, n)))
    share = flipped * (carrier == group)
    p = 1 / (1 + np.exp(-z - rng.normal(0, 0.1, n)))
    recent = np.where(rng.random(n) < share, 1 - y, y)
    return Labelled(y, night, theirs, p * (1 - share) + (1 - p) * share, {"carrier": carrier}), recent


def lost(y, p):
    return -np.log(np.where(y == 1, p, 1 - p)).mean()


def failed(lines):
    return sorted(line.name for line in lines if line.outcome == "fail")


def outcome_of(lines, name):
    return next(line for line in lines if line.name == name).outcome


@pytest.mark.parametrize("seed", range(5))
def test_a_group_of_five_percent_that_is_flipped_is_blocked_by_name(a_model, seed):
    anchor, _ = history(seed, 1.0)
    assert failed(poisoning(a_model(), anchor)) == ["anchor [carrier=c1]"]


def test_a_clean_candidate_is_not_blocked(a_model):
    blocked = [bool(failed(poisoning(a_model(), history(seed)[0]))) for seed in range(20)]
    assert sum(blocked) <= 2


def test_a_candidate_at_the_margin_is_seldom_blocked(a_model):
    hits = 0
    for seed in range(20):
        anchor, _ = history(seed)
        # The loss of a mixture of the champion's answer and its opposite, of just the margin.
        at = anchor.groups["carrier"] == "c1"
        low, high = 0.0, 1.0
        aim = 1.1 * lost(anchor.label[at], anchor.theirs[at])
        for _ in range(40):
            mid = (low + high) / 2
            mixed = anchor.theirs * (1 - mid) + (1 - anchor.theirs) * mid
            low, high = (mid, high) if lost(anchor.label[at], mixed[at]) < aim else (low, mid)
        ours = np.where(at, anchor.theirs * (1 - low) + (1 - anchor.theirs) * low, anchor.theirs)
        hits += bool(failed(poisoning(a_model(), replace(anchor, ours=ours))))
    assert hits <= 3


def test_labels_that_are_turned_over_are_a_conflict(a_model):
    anchor, _ = history(1)
    later, flipped = history(2, 1.0, first=NIGHTS)
    lines = poisoning(a_model(), anchor, replace(later, label=flipped))
    assert failed(lines) == ["conflict [carrier=c1]", "relabelled [carrier=c1]"]
    assert "have a person look" in next(line.reason for line in lines if line.outcome == "fail")
    assert failed(poisoning(a_model(), anchor, later)) == []


def test_a_group_that_the_champion_never_ranked_is_no_conflict(a_model):
    anchor, _ = history(1)
    later, flipped = history(2, 1.0, first=NIGHTS)
    blind = replace(anchor, theirs=np.random.default_rng(0).random(len(anchor.label)))
    assert "conflict [carrier=c1]" not in failed(poisoning(a_model(), blind, replace(later, label=flipped)))


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_other_kinds(a_model, kind):
    anchor, _ = history(3)
    if kind == "regression":
        y = anchor.theirs + np.random.default_rng(0).normal(0, 0.1, len(anchor.label))
        theirs, ours = anchor.theirs, np.where(anchor.groups["carrier"] == "c1", 1 - anchor.theirs, anchor.theirs)
    else:
        y = anchor.label
        three = np.column_stack([0.9 * (1 - anchor.theirs), 0.9 * anchor.theirs, np.full(len(y), 0.1)])
        theirs, ours = three, np.where((anchor.groups["carrier"] == "c1")[:, None], three[:, [1, 0, 2]], three)
    clean = replace(anchor, label=y, theirs=theirs, ours=theirs)
    assert failed(poisoning(a_model(kind), clean)) == []
    assert "anchor [carrier=c1]" in failed(poisoning(a_model(kind), replace(clean, ours=ours)))
    turned = replace(clean, theirs=ours, ours=None)
    assert "conflict [carrier=c1]" in failed(poisoning(a_model(kind), clean, turned))


def test_a_source_that_takes_over_is_named(a_model):
    anchor, _ = history(4)
    old, new = np.array(["a"] * 90 + ["b"] * 10), np.array(["a"] * 60 + ["b"] * 15 + ["c"] * 25)
    lines = poisoning(a_model(), anchor, None, Sources(old, new))
    assert failed(lines) == ["source [c]"]
    assert failed(poisoning(a_model(), anchor, None, Sources(old, old))) == []
    assert outcome_of(poisoning(a_model(), anchor, None, Sources(old, old[:0])), "sources") == "inconclusive"


def test_without_a_champion_it_is_only_shown(a_model):
    (line,) = poisoning(a_model(), None)
    assert (line.role, line.outcome) == ("shown", "inconclusive")


def test_bad_input_is_no_pass(a_model):
    anchor, _ = history(5)
    n = len(anchor.label)
    nothing = Labelled(anchor.label[:0], anchor.night[:0], anchor.theirs[:0], anchor.theirs[:0])
    cases = {
        "no rows": nothing,
        "not scored": replace(anchor, ours=None),
        "one night": replace(anchor, night=np.full(n, "2024-01-01")),
        "no labels": replace(anchor, label=np.full(n, np.nan)),
    }
    for name, case in cases.items():
        assert outcome_of(poisoning(a_model(), case), "anchor") == "inconclusive", name
    assert outcome_of(poisoning(a_model(), replace(anchor, ours=np.full(n, np.nan))), "anchor") == "fail"
    # One class only: its loss is still a loss.
    assert failed(poisoning(a_model(), replace(anchor, label=np.zeros(n, int), ours=anchor.theirs))) == []
    one = replace(anchor, label=np.ones(n, int))
    assert outcome_of(poisoning(a_model(), anchor, one), "conflict") == "inconclusive"
    assert (
        outcome_of(poisoning(a_model(), anchor, replace(anchor, night=np.full(n, "x"))), "conflict") == "inconclusive"
    )


def test_groups_are_those_of_categories_segments_and_protected(a_model):
    columns = {"at": Column(type="timestamp"), "x": Column(type="number"), "word": Column(type="category"),
               "sex": Column(type="category"), "old": Column(type="boolean")}  # fmt: skip
    dataset = Dataset(name="d", source=Source(files="{date}.csv"), event_time="at", key=("at",), columns=columns)
    model = a_model(features=["x", "word"], segments=["old"], protected=["sex", "word"])
    assert guarded(model, dataset) == ["word", "old", "sex"]
    rows = pa.table({"word": pa.array(["a", None]), "old": pa.array([True, None])})
    assert {k: v.tolist() for k, v in groups_of(rows, guarded(model, dataset)).items()} == {
        "word": ["a", "missing"], "old": ["true", "missing"],
    }  # fmt: skip


def test_the_pieces():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert p_above(Estimate(0.0, 0.0, 5), 0.0) == 1.0
    assert p_above(Estimate(0.1, 0.0, 5), 0.0) == 0.0
    assert p_above(Estimate(np.nan, np.nan, 0), 0.0) == 1.0
    values, night = np.array([1.0, np.nan, 3.0, 5.0]), np.array(["a", "a", "b", "c"])
    found = mean_by_blocks(values, night, ["a", "b", "c"], 1)
    assert (found.value, found.blocks) == (3.0, 3)
    assert mean_by_blocks(values[:0], night[:0], [], 1).blocks == 0
    exact = ranked_by_blocks("binary", np.array([0.1, 0.9, 0.2, 0.8]), np.array([0.0, 1, 0, 1]), np.array(list("aabb")),
                             ["a", "b"], 1)  # fmt: skip
    assert (exact.value, exact.blocks) == (1.0, 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_group_whose_labels_are_made_up_is_named_though_no_rank_is_turned(a_model, seed):
    before, _ = history(seed)
    now, _ = history(seed + 100, first=NIGHTS)
    group = now.groups["carrier"] == "c1"
    labels = now.label.copy()
    labels[group] = 1
    lines = poisoning(a_model(), before, replace(now, label=labels, ours=None))
    assert "relabelled [carrier=c1]" in failed(lines)
    assert "relabelled" not in " ".join(failed(poisoning(a_model(), before, replace(now, ours=None))))


def test_a_day_that_all_groups_share_moves_no_group(a_model):
    before, _ = history(0)
    now, _ = history(100, first=NIGHTS)
    # Every flight is late on the last ten nights: the weather, nobody's hand.
    late = now.night >= f"{2 * NIGHTS - 10:04d}"
    labels = np.where(late, 1, now.label)
    lines = poisoning(a_model(), before, replace(now, label=labels, ours=None))
    assert not [name for name in failed(lines) if name.startswith("relabelled")]
