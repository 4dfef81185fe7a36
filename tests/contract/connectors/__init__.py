"""One file for each entry of the registry, of its name: the suites that the connector keeps."""
