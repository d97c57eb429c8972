import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.lineage.chain import GENESIS, broken_at, link


def chain(bodies):
    entries, previous = [], GENESIS
    for seq, body in enumerate(bodies, 1):
        entry = {"kind": "plan", "body": body}
        digest = link(previous, entry)
        entries.append({"seq": seq, "previous": previous, "digest": digest, **entry})
        previous = digest
    return entries


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.floats() | st.none()), max_size=5))
def test_an_untouched_chain_holds(bodies):
    assert broken_at(chain(bodies)) is None


@pytest.mark.parametrize("at", range(5))
def test_tampering_is_found_where_it_happened(at):
    entries = chain([{"n": n} for n in range(5)])
    for key, value in {"body": {"n": 9}, "kind": "other", "previous": "1" * 64, "digest": "1" * 64, "new": 1}.items():
        forged = [dict(e) for e in entries]
        forged[at][key] = value
        assert broken_at(forged) == at + 1


def test_removed_and_moved_entries_are_found():
    a, b, c = chain([{"n": n} for n in range(3)])
    assert broken_at([a, c]) == 3
    assert broken_at([b, c]) == 2
    assert broken_at([a, c, b]) == 3


def test_a_forged_digest_breaks_the_next_link():
    a, b = chain([{"n": 1}, {"n": 2}])
    body = {"kind": "plan", "body": {"n": 7}}
    assert broken_at([{"seq": 1, "previous": GENESIS, "digest": link(GENESIS, body), **body}, b]) == 2
    assert broken_at([a, b]) is None
