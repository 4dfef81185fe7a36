"""Destinations: one file per destination."""
