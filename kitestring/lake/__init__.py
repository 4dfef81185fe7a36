"""Table formats of data lakes: the SQL kit merges in a DuckDB in memory, the format commits the rows that changed."""
