"""Reading what was synced: the permission of a reader, passages, answers with citations, similar records."""
