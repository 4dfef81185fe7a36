"""Where rejected records are kept."""

from pathlib import Path

from kitestring.engine import Rejects
from kitestring.types import Reject


def test_connections_whose_names_look_alike_in_a_file_system_keep_their_rejects_apart(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path)
    names = ["a b", "a_b", "a/b", "x" * 300, "é" * 150]
    for name in names:
        rejects.add(name, "s", [Reject({"of": name}, "odd")])
    for name in names:
        assert [entry["record"]["of"] for entry in rejects.read(name)] == [name]
