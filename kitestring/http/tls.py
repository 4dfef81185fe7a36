"""The certificates that a session trusts and presents."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from kitestring.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tls:
    """`ca_file`: a PEM file trusted besides the usual authorities. `client_cert`, `client_key`: PEM files for mutual
    TLS (the certificate's file may contain the key). `verify=False` accepts any certificate: for tests only."""

    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """The system's authorities, certifi's and `ca_file`. `ConfigError` for a file that cannot be used."""
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            import certifi

            context.load_verify_locations(certifi.where())
        try:
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
            if self.client_cert:
                context.load_cert_chain(self.client_cert, self.client_key)
        except OSError as error:  # ssl.SSLError is one
            name = self.ca_file if not self.client_cert else f"{self.ca_file or ''} {self.client_cert}".strip()
            raise ConfigError(
                f"the certificate file {name} cannot be used: {error}", hint="Give readable PEM files.", file=name
            ) from error
        return context
