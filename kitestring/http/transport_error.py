"""urllib3's exceptions as errors of ours."""

from __future__ import annotations

import urllib3
from urllib3 import exceptions as broken

from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.http.message import origin


def transport_error(method: str, url: str, error: Exception, timeout: urllib3.Timeout) -> KitestringError:
    """The error for a call that got no whole response: `ConfigError` where the address or the certificate is wrong,
    else `TransientError`."""
    request_line = f"{method} {url.partition('?')[0]}"
    host = origin(url).partition("://")[2].rpartition("@")[2]
    cause: BaseException = error
    while cause.__cause__ is not None or isinstance(getattr(cause, "original_error", None), BaseException):
        cause = cause.__cause__ or cause.original_error  # type: ignore[attr-defined]
    if isinstance(error, broken.LocationParseError | broken.LocationValueError):
        return ConfigError(f"{url.partition('?')[0]!r} is not a usable address", hint="Check the address.")
    if "CERTIFICATE_VERIFY_FAILED" in str(error) or (isinstance(error, broken.SSLError) and "match" in str(error)):
        return ConfigError(
            f"{host} shows a certificate that is not trusted: {getattr(cause, 'verify_message', '') or cause}",
            hint="Give the authority's certificate (ca_file), or check that the address is the right one.",
            host=host,
        )
    if isinstance(error, broken.ProxyError):
        return TransientError(
            f"{request_line}: the proxy does not let us through: {cause}", hint="Check the proxy.", host=host
        )
    if isinstance(error, broken.NameResolutionError):
        return TransientError(f"the host {host} is not known", hint="Check the address and the network.", host=host)
    if isinstance(error, broken.NewConnectionError):
        return TransientError(f"{host} refuses the connection: {cause}", hint="Check the address and port.", host=host)
    if isinstance(error, broken.ConnectTimeoutError):
        seconds = timeout.connect_timeout
        return TransientError(
            f"{host} does not accept a connection within {seconds:g} s",
            hint="Check the address and the network.",
            host=host,
        )
    if isinstance(error, broken.ReadTimeoutError | TimeoutError):
        return TransientError(
            f"{request_line} did not answer within {timeout.read_timeout:g} s", hint="Try again later."
        )
    return TransientError(
        f"{request_line} broke off: {cause or type(cause).__name__}", hint="Try again later.", host=host
    )
