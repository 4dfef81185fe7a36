"""Shared code of a vendor's source and destination: connection, errors, types."""
