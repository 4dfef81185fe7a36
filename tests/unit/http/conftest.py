"""An API on loopback, and a session with it."""

import pytest
from http_api import Api, Eager

from kitestring.http import (
    Session,
)


@pytest.fixture
def api():
    with Api() as server:
        yield server


@pytest.fixture
def session(api):
    with Session(base_url=api.url, policy=Eager(), proxy="") as session:
        yield session
