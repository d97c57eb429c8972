"""A look that was cut short after its row was written has been taken: another evening's is the next one."""

import shutil

import pytest

from tidegate.clock import evening_of
from tidegate.steps import candidate


class CutShort(Exception):
    pass


@pytest.mark.parametrize(("taken", "number"), [([], 1), ([(1, 8)], 2), ([(1, 9)], 1), ([(1, 7), (2, 8)], 3)])
def test_another_evening_is_another_look(registered, loop_of, tmp_path, day, monkeypatch, taken, number):
    shutil.copytree(registered.root, tmp_path / "clinic")
    loop, seen = loop_of(tmp_path / "clinic", registered.name), []

    def gate(case, now):
        seen.append(case.look)
        raise CutShort

    monkeypatch.setattr(candidate, "gate", gate)
    window = loop.calendar.window(day(9))
    for look, night in taken:
        at = (1, look, day(night), 0.001, [day(0)], evening_of(window))
        loop.stores.looks.take(loop.name, "clinic", *at)
    with pytest.raises(CutShort):
        candidate.look_at(loop.stores, loop.model, 1, window, evening_of(window))
    assert seen == [number]
