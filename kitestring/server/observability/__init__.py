"""Logs, metrics, traces, totals and the audit log of a server."""
