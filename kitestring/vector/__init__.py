"""Text to documents to chunks to vectors, and `VectorDestination`: five verbs for a new store."""
