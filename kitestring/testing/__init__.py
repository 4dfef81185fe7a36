"""Test tools for connector authors: contract suites, connectors in memory, and the base of stand-ins for APIs."""
