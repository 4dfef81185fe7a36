"""Connections: their sources and destinations, streams, schedules, states and schema changes."""
