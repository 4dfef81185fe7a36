"""S3 as moto speaks it, in a process of its own: a driver that waits for an answer may hold Python's lock."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_s3(*buckets: str) -> Iterator[str]:
    """The address of a server with these buckets, for the key `key` with the secret `secret`."""
    import boto3

    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = next(match[0] for line in server.stderr if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=address, **keys)
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield address
    finally:
        server.kill()
        server.communicate()
