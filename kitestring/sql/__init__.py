"""The base of SQL destinations: types, quoting, staging, merging, replacing tables, counts."""
