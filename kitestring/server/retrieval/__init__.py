"""Reads of what was synced: search processes that stay warm, and their calls."""
