"""A private key of Snowflake that cannot be read is described."""

from __future__ import annotations

import pytest

from kitestring.errors import ConfigError
from kitestring.vendors.snowflake import key_of

OF_AN_UNKNOWN_KIND = "-----BEGIN PRIVATE KEY-----\nMA8CAQAwBQYDKgMEBAMEAQE=\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("pem", ["hunter2", OF_AN_UNKNOWN_KIND])
def test_a_key_that_cannot_be_read_is_described(pem: str) -> None:
    with pytest.raises(ConfigError, match="`private_key` cannot be read"):
        key_of(pem, None)
