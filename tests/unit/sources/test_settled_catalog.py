"""The catalog of MariaDB is read again where its parts do not agree."""

from __future__ import annotations

from kitestring.sources.mysql.settled_catalog import MOST_READS, is_whole, settled


def test_parts_agree_where_no_table_and_no_key_is_missing():
    assert is_whole(["a", "b"], ["a", "b"], {"a", "b", "view"}, ["a"], {"a"})
    assert not is_whole(["a"], ["a", "b"], {"a", "b"}, [], set())
    assert not is_whole(["a", "b"], ["a", "b"], {"a"}, [], set())
    assert not is_whole(["a"], ["a"], {"a"}, ["a"], set())


def test_a_catalog_is_read_until_it_is_whole_and_else_the_largest_is_taken():
    reads = iter([(["a"], False), (["a", "b"], True)])
    assert settled(lambda: next(reads)) == ["a", "b"]
    partial = iter([(["a", "b"], False), *((["a"], False) for _ in range(MOST_READS - 1))])
    assert settled(lambda: next(partial)) == ["a", "b"]
    assert next(partial, None) is None
