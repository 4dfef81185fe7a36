"""Text to documents to chunks to vectors, and `VectorDestination`: six verbs for a new store."""
