from kitestring.declarative.overlap import Overlap


def test_a_record_that_the_page_before_had_comes_once() -> None:
    overlap = Overlap([("id",)])
    assert overlap.without([{"id": 1, "at": 1}, {"id": 2, "at": 2}]) == [{"id": 1, "at": 1}, {"id": 2, "at": 2}]
    assert overlap.without([{"id": 2, "at": 2}, {"id": 3, "at": 2}]) == [{"id": 3, "at": 2}]
    assert overlap.without([{"id": 3, "at": 2}]) == []
    assert overlap.without([{"id": 3, "at": 2}, {"id": 4, "at": 2}]) == [{"id": 4, "at": 2}]


def test_a_record_that_changed_between_the_pages_comes_again() -> None:
    overlap = Overlap([("id",)])
    overlap.without([{"id": 1, "at": 1}])
    assert overlap.without([{"id": 1, "at": 2}]) == [{"id": 1, "at": 2}]


def test_equal_records_without_a_primary_key_are_two() -> None:
    overlap = Overlap([])
    overlap.without([{"a": 1}])
    assert overlap.without([{"a": 1}]) == [{"a": 1}]


def test_a_key_that_is_a_list_is_left_alone() -> None:
    overlap = Overlap([("id",)])
    overlap.without([{"id": [1]}])
    assert overlap.without([{"id": [1]}]) == [{"id": [1]}]
