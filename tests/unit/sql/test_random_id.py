import uuid

from kitestring.sql.random_id import random_ids


def test_random_ids_are_distinct_uuids_in_their_usual_form():
    ids = random_ids(1000).to_pylist()
    read = [uuid.UUID(text) for text in ids]
    assert len({*ids}) == 1000
    assert [str(value) for value in read] == ids
    assert {(value.version, value.variant) for value in read} == {(4, uuid.RFC_4122)}
    assert random_ids(0).to_pylist() == []
