"""Vendors' APIs as their documentation describes them, over HTTP on the loopback interface.

Tests import them: tests/conftest.py puts this folder's parent on the path. By hand, from the root of the repository:
`PYTHONPATH=tests python -m stand_ins.asana --port 8080` starts one and prints its address.
"""
