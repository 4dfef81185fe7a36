"""Vendors' APIs as their documentation describes them, over HTTP."""
