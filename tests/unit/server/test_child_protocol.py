"""What a job's process and its worker say to each other."""

from __future__ import annotations

from kitestring.engine.result import error_as_dict
from kitestring.errors import ConfigError, ConnectorError, TransientError
from kitestring.server.child.protocol import error_body, error_of


class FolderFullError(ConfigError):
    """A connector's own error."""


class TransferError(TransientError):
    """A connector's own error."""


def test_an_error_of_a_connectors_own_class_keeps_what_happens_next() -> None:
    full = error_of(error_body(FolderFullError("no room in /data", hint="Delete files.")))
    assert (type(full), full.message, full.hint) == (ConfigError, "no room in /data", "Delete files.")
    transfer = error_of(error_body(TransferError("the server went away", retry_after_s=3.0)))
    assert isinstance(transfer, TransientError)
    assert transfer.retry_after_s == 3.0


def test_the_error_of_a_result_has_a_name_that_is_documented() -> None:
    assert error_as_dict(FolderFullError("no room in /data", hint="Delete files.")) == {
        "type": "ConfigError",
        "message": "no room in /data",
        "hint": "Delete files.",
    }
    assert error_as_dict(None) is None


def test_an_error_of_an_unknown_class_is_a_defect_of_the_connector() -> None:
    for kind in ("OSError", "warnings", "", None):
        assert type(error_of({"type": kind, "message": "m"})) is ConnectorError
