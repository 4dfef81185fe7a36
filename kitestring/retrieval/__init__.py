"""Reading what was synced: the permission of a reader, and a destination as this reader sees it."""
