"""Jobs: the leased queue, what runs them, what is kept of them."""

from kitestring.server.jobs.queue import Claim, Lost, Queue

__all__ = ["Claim", "Lost", "Queue"]
