"""gRPC's own lines reach no terminal and no log, and no long call is cut off because of pings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PINGS = """
import kitestring
import grpc
import time
from concurrent import futures

class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        def answer(request, context):
            time.sleep(5)
            return b""
        return grpc.unary_unary_rpc_method_handler(answer)

limits = [("grpc.http2.min_ping_interval_without_data_ms", 300_000), ("grpc.http2.max_ping_strikes", 1)]
server = grpc.server(futures.ThreadPoolExecutor(1), options=limits)
server.add_generic_rpc_handlers((Handler(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
often = [("grpc.keepalive_time_ms", 1000), ("grpc.http2.max_pings_without_data", 0)]
try:
    grpc.insecure_channel(f"127.0.0.1:{port}", options=often).unary_unary("/a/b")(b"")
except grpc.RpcError as error:
    print(error.code().name)
"""


def test_a_connection_that_is_closed_for_its_pings_writes_no_line_of_its_own() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    ended = subprocess.run([sys.executable, "-c", PINGS], env=environment, capture_output=True, text=True, check=True)
    assert (ended.stdout.strip(), ended.stderr) == ("UNAVAILABLE", "")


def test_the_client_of_milvus_pings_no_more_often_than_a_server_with_grpcs_limits_bears(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    from kitestring.destinations.milvus.connection import connect, disconnect
    from kitestring.destinations.milvus.indexing import Indexing

    indexing = Indexing(host=str(tmp_path / "lite.db"), collection="c")
    client = connect(indexing)
    try:
        assert client._get_connection()._grpc_options["grpc.keepalive_time_ms"] >= 300_000
    finally:
        disconnect(client, indexing)
