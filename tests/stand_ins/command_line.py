"""Run a stand-in by hand: `python -m stand_ins.VENDOR --port 8080` prints the address and serves until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from kitestring.testing.stand_in import serve


def argument_parser() -> argparse.ArgumentParser:
    """The options of every stand-in; the description is the docstring of the module that runs."""
    module = sys.modules["__main__"]
    name = module.__spec__.name if module.__spec__ else module.__name__
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=module.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    return parser


def run(stand_in: Callable[..., Any]) -> None:
    """Serve a stand-in that has no options of its own."""
    serve(stand_in(port=argument_parser().parse_args().port))


def run_with_tokens(stand_in: Callable[..., Any]) -> None:
    """Serve a stand-in that has `tokens`; write an OAuth client and a refresh token to standard error."""
    parser = argument_parser()
    parser.add_argument("--lifetime", type=float, default=3600, help="seconds that an access token of OAuth lives")
    options = parser.parse_args()
    server = stand_in(port=options.port)
    server.tokens.lifetime_s = options.lifetime
    pair = server.tokens.granted()
    secret = server.tokens.clients[pair.client]
    sys.stderr.write(f"OAuth: client {pair.client}, secret {secret}, refresh token {pair.refresh_token}\n")
    serve(server)


def run_rotating(stand_in: Callable[..., Any]) -> None:
    """Serve a stand-in whose tokens rotate with `--rotating`; the first pair is then written to standard output."""
    parser = argument_parser()
    parser.add_argument("--rotating", action="store_true", help="tokens are renewed; the first pair is written down")
    options = parser.parse_args()
    server = stand_in(port=options.port, rotating=options.rotating)
    if options.rotating:
        pair = server.tokens.granted()
        sys.stdout.write(f"access_token: {pair.access_token}\nrefresh_token: {pair.refresh_token}\n")
    serve(server)
