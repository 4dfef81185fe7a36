"""The cases of the contract of SQL destinations that run on an emulator of a warehouse in each run of the suite."""

WAREHOUSE_SAMPLE = frozenset(
    {
        "test_a_batch_written_again_after_a_crash_leaves_no_second_copy",
        "test_a_column_becomes_wider_and_never_narrower",
        "test_a_table_that_no_sync_has_made_is_refused_and_stays",
        "test_a_value_that_does_not_fit_is_null_and_its_text_is_in_airbytes_column",
        "test_check_accepts_it_and_creates_nothing",
        "test_columns_have_the_types_of_the_schema",
        "test_every_write_leaves_what_the_table_of_writes_says",
        "test_hostile_text_arrives_or_is_rejected_never_lost",
        "test_its_count_is_what_a_reader_sees",
        "test_keys_of_several_types_are_different_records",
        "test_long_numbers_keep_all_their_digits",
        "test_names_that_mean_something_to_a_database_are_names_of_fields",
        "test_overwrite_that_fails_half_way_keeps_the_old_records",
        "test_records_that_are_there_unchanged_are_counted_so",
        "test_values_of_all_types_arrive_as_they_were",
        "test_what_a_crash_left_of_a_replacement_goes_with_the_next_begin",
    }
)
