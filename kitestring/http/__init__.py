"""HTTP for every source and embedder: pooled connections, retries, rate limits, budgets, masked logs."""

from kitestring.http.auth import Auth, Basic, Bearer
from kitestring.http.message import Request, Response, UnreadableError
from kitestring.http.rate_limit import Budget, Share, Shared
from kitestring.http.retry import Policy, Raise, Retries, Retry, Return, Verdict, requested_wait_s, vendor_message
from kitestring.http.session import Session
from kitestring.http.tls import Tls

__all__ = [
    "Auth",
    "Basic",
    "Bearer",
    "Budget",
    "Policy",
    "Raise",
    "Request",
    "Response",
    "Retries",
    "Retry",
    "Return",
    "Session",
    "Share",
    "Shared",
    "Tls",
    "UnreadableError",
    "Verdict",
    "requested_wait_s",
    "vendor_message",
]
