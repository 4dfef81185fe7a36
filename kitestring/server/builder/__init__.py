"""The connector builder: drafts of low-code sources, and their publication."""
