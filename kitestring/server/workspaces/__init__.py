"""Organizations and workspaces."""
