import pytest
from bson.datetime_ms import DatetimeMS

from kitestring.sources.mongodb.bson_value import bson_value, cursor_place, value_of
from kitestring.watermark import Watermark

ANCIENT, BEFORE, FIRST, FAR = -(10**14), -62_135_596_800_001, 0, 4 * 10**14


@pytest.mark.parametrize("milliseconds", [ANCIENT, BEFORE, FIRST, FAR, -1, 5])
def test_a_cursor_goes_on_from_a_moment_of_any_year(milliseconds):
    text = value_of(DatetimeMS(milliseconds))
    assert bson_value("moment", text) == DatetimeMS(milliseconds)


def test_a_text_that_is_no_moment_is_refused_as_a_cursor():
    with pytest.raises(ValueError, match="soon is no moment"):
        bson_value("moment", "soon")


def test_moments_before_the_year_1_are_new_once_and_come_before_all_others():
    def read(since, known, moments):
        place = cursor_place("moment")
        mark = Watermark(("at",), since, keys=(("id",),), digests=True, known_digests=known, place=place)
        records = [{"id": n, "at": value_of(DatetimeMS(n))} for n in moments]
        return mark, [record["id"] for record in records if mark.is_new(record)]

    mark, new = read(None, (), [ANCIENT, BEFORE])
    assert (new, mark.doubts) == ([ANCIENT, BEFORE], [])
    checkpoint = mark.checkpoint(lambda value, digests: {"cursor": value, "known": digests})
    state = checkpoint.state
    mark, new = read(state["cursor"], state["known"], [BEFORE, FIRST])
    assert (new, mark.doubts) == ([FIRST], [])
    checkpoint = mark.checkpoint(lambda value, digests: {"cursor": value, "known": digests})
    assert checkpoint.state["cursor"] == value_of(DatetimeMS(FIRST))
