"""A destination that speaks the protocol: a JSON file per stream, replaced as a whole when a stream is complete.

States are given back when the records before them are in the file. `trouble` in its configuration makes it misbehave.
"""

import json
import os
import sys
import time


def say(message):
    print(json.dumps(message), flush=True)


def option(name):
    with open(sys.argv[sys.argv.index(name) + 1]) as file:
        return json.load(file)


def number(text):
    """A float, or the text of a number that would not be exact as one."""
    return float(text) if len(text) <= 17 else text


def stored(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return []


def store(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "w") as file:
        json.dump(rows, file)
    os.replace(path + ".tmp", path)


def write(config, entry):
    trouble = config.get("trouble", "")
    stream, mode = entry["stream"], entry["destination_sync_mode"]
    keys = [path[0] for path in entry.get("primary_key") or ()]
    path = os.path.join(
        config["folder"], ".".join(filter(None, (stream.get("namespace"), stream["name"]))).replace("/", "_") + ".json"
    )
    replaced = entry["minimum_generation_id"] > 0
    rows = [] if replaced else stored(path)
    complete = False
    count = 0
    for line in sys.stdin:
        message = json.loads(line, parse_float=number)
        if message["type"] == "RECORD":
            if trouble == "crash" and count == 3:
                sys.stderr.write("the shelf fell over\n")
                sys.exit(7)
            count += 1
            data = message["record"]["data"]
            if mode == "append_dedup" and keys and not replaced:
                rows = [
                    row for row in rows if any(json.dumps(row.get(key)) != json.dumps(data.get(key)) for key in keys)
                ]
                if data.get("_ab_cdc_deleted_at"):  # as Airbyte's destinations take a deletion
                    continue
            rows.append(data)
        elif message["type"] == "STATE":
            if trouble == "error":
                error = {"message": "the disk is full", "failure_type": "config_error"}
                say({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}})
                sys.exit(1)
            if trouble == "silent":
                time.sleep(600)
            if not replaced:
                store(path, rows)
            if trouble == "lossy":
                message["state"]["destinationStats"] = {
                    "recordCount": message["state"]["sourceStats"]["recordCount"] - 1
                }
            say(message)
        elif message["type"] == "TRACE":
            complete = message["trace"]["stream_status"]["status"] == "COMPLETE"
    if trouble == "end":
        sys.exit(3)
    if complete and replaced:
        store(path, rows)


if sys.argv[1] == "spec":
    modes = ["append", "overwrite", "append_dedup"]
    say(
        {
            "type": "SPEC",
            "spec": {"connectionSpecification": {"type": "object"}, "supported_destination_sync_modes": modes},
        }
    )
elif sys.argv[1] == "check":
    say({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}})
else:
    write(option("--config"), option("--catalog")["streams"][0])
