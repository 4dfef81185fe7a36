"""What connector authors test with: contract suites, connectors in memory, and stand-ins of vendors' APIs."""
