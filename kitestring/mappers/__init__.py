"""Mappers: hash, encrypt, rename, leave out and filter between the source and the destination."""
