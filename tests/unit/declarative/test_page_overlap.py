from kitestring.declarative.page_overlap import PageOverlap


def test_a_record_that_the_page_before_had_comes_once() -> None:
    overlap = PageOverlap([("id",)])
    assert overlap.remove_repeated([{"id": 1, "at": 1}, {"id": 2, "at": 2}]) == [{"id": 1, "at": 1}, {"id": 2, "at": 2}]
    assert overlap.remove_repeated([{"id": 2, "at": 2}, {"id": 3, "at": 2}]) == [{"id": 3, "at": 2}]
    assert overlap.remove_repeated([{"id": 3, "at": 2}]) == []
    assert overlap.remove_repeated([{"id": 3, "at": 2}, {"id": 4, "at": 2}]) == [{"id": 4, "at": 2}]


def test_a_record_that_changed_between_the_pages_comes_again() -> None:
    overlap = PageOverlap([("id",)])
    overlap.remove_repeated([{"id": 1, "at": 1}])
    assert overlap.remove_repeated([{"id": 1, "at": 2}]) == [{"id": 1, "at": 2}]


def test_equal_records_without_a_primary_key_are_two() -> None:
    overlap = PageOverlap([])
    overlap.remove_repeated([{"a": 1}])
    assert overlap.remove_repeated([{"a": 1}]) == [{"a": 1}]


def test_a_key_that_is_a_list_is_left_alone() -> None:
    overlap = PageOverlap([("id",)])
    overlap.remove_repeated([{"id": [1]}])
    assert overlap.remove_repeated([{"id": [1]}]) == [{"id": [1]}]
