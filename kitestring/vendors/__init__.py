"""What a source and a destination of one vendor share: connection, errors, types."""
