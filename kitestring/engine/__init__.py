"""The engine: `sync.py` holds the loop; read it first."""
