"""A small, varied, deterministic help desk: what the Zendesk stand-in serves."""

from kitestring.testing.help_desk.desk import HelpDesk

__all__ = ["HelpDesk"]
