"""Fixtures that several suites share."""

pytest_plugins = ["integration.postgres_server"]
