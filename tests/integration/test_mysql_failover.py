"""A replica of MariaDB takes the place of its primary: change data capture goes on there from the GTIDs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from following_sync import wait_for
from mariadb_server import PASSWORD, USER, running
from mysql_capturing import MysqlCaptured

from kitestring.engine import Status
from kitestring.sources.mysql.failover import states_at
from kitestring.sources.mysql.log_server import LogServer
from kitestring.types import GLOBAL

pytestmark = pytest.mark.slow


@pytest.fixture
def replica(mariadb_data, mysql_database):
    """A replica of the server, with a log of its own under another name, in which the numbers of files are lower."""
    settings = ["--server-id=2", "--log-bin=other", "--log-slave-updates", "--gtid-domain-id=0"]
    mysql_database.run("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    with running(mariadb_data, settings) as server:
        # What both are made with, users among it, is not replicated.
        (start,) = mysql_database.run("SELECT @@global.gtid_binlog_pos AS gtid")
        password = PASSWORD.replace("'", "''")
        server.run(
            f"CREATE DATABASE {mysql_database.name} CHARACTER SET utf8mb4",
            "RESET MASTER",
            f"SET GLOBAL gtid_slave_pos = '{start['gtid']}'",
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {mysql_database.port}, "
            f"MASTER_USER = '{USER}', MASTER_PASSWORD = '{password}', MASTER_USE_GTID = slave_pos",
            "START SLAVE",
        )
        yield replace(mysql_database, port=server.port)
        server.run("STOP SLAVE")


def caught_up(primary, replica):
    (end,) = primary.run("SELECT @@global.gtid_binlog_pos AS gtid")
    wait_for(lambda: replica.run("SELECT @@global.gtid_slave_pos AS gtid") == [end])


def test_a_sync_goes_on_at_a_replica_and_not_at_a_primary_that_lacks_its_changes(mysql_database, replica):
    primary, captured = mysql_database, MysqlCaptured(mysql_database)
    primary.run("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    captured.sync("t")
    primary.run("UPDATE t SET n = 10 WHERE id = 1")
    captured.sync("t")
    before = captured.states.load("default")[GLOBAL]
    primary.run("INSERT INTO t VALUES (3, 3)")
    caught_up(primary, replica)
    replica.run("STOP SLAVE", "INSERT INTO t VALUES (4, 4)", "DELETE FROM t WHERE id = 2")
    captured.database = replica
    # A transaction of another time is another one, though it has the same GTID: after a reset they are given again.
    source, states = captured.source(), captured.states.load("default")
    gtid, seconds = before["log"]["last"]
    other = {**states, GLOBAL: {**before, "log": {**before["log"], "last": [gtid, seconds + 1]}}}
    with closing(source.open()) as session:
        assert states_at(LogServer(source, session), other) is other
        assert states_at(LogServer(source, session), states) is not states
    result = captured.attempt("t")
    assert (result.status, result.streams[f"{primary.name}.t"].read) == (Status.succeeded, 3)
    captured.assert_equal("t")
    after = captured.states.load("default")[GLOBAL]
    assert after["position"] > before["position"]
    assert after["log"]["base"] == "other"
    replica.run("FLUSH BINARY LOGS", "INSERT INTO t VALUES (5, 5)")
    captured.sync("t")
    captured.assert_equal("t")
    # A table that joins is loaded at a position of this server.
    replica.run("CREATE TABLE late (id int PRIMARY KEY)", "INSERT INTO late VALUES (1)")
    captured.sync("late", "t")
    replica.run("INSERT INTO late VALUES (2)")
    captured.sync("late", "t")
    captured.assert_equal("late")
    # The primary does not have the transactions of its former replica.
    captured.database = primary
    assert "are lost" in captured.failure("t")
