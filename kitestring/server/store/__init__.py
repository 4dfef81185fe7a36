"""The store of the control plane: SQLite in the data folder, or PostgreSQL for many workers."""

from kitestring.server.store.store import Store

__all__ = ["Store"]
