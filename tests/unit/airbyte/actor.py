"""A program that does what its configuration says, action by action: any connector, good or bad, in a test.

The configuration has a list of actions for each command: `say` a message, write `raw` text, say `records` of a stream,
write to standard `error`, `sleep`, `spawn` a child that outlives it, `fill` standard output until told to stop, `exit`,
`die`. With `notes` it leaves there what it was called with.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")


def record(stream, data):
    say({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}})


def main(arguments):
    tap = arguments[0].startswith("--")
    command = ("discover" if "--discover" in arguments else "read") if tap else arguments[0]
    files = {}
    for name, value in itertools.pairwise(arguments):
        if name in ("--config", "--catalog", "--state", "--properties"):
            with open(value) as file:
                files[name] = {"path": value, "mode": oct(os.stat(value).st_mode & 0o777), "content": json.load(file)}
    config = files.get("--config", {"content": {}})["content"]
    if config.get("notes"):
        with open(os.path.join(config["notes"], f"{command}.json"), "w") as file:
            json.dump(
                {"arguments": arguments, "files": files, "pid": os.getpid(), "environment": dict(os.environ)}, file
            )
    for action in config.get(command) or json.loads(os.environ.get("ACTIONS", "{}")).get(command, []):
        for name, value in action.items():
            if name == "say":
                say(value)
            elif name == "raw":
                sys.stdout.write(value)
            elif name == "records":
                for number in range(value.get("from", 0), value["to"]):
                    record(
                        value["stream"], {"id": number, "text": f"{value['stream']} {number}" + value.get("pad", "")}
                    )
            elif name == "error":
                sys.stderr.write(value + "\n")
            elif name == "sleep":
                sys.stdout.flush()
                time.sleep(value)
            elif name == "spawn":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                with open(value, "w") as file:
                    file.write(str(child.pid))
            elif name == "fill":
                for number in range(10**9):
                    record(value["stream"], {"id": number, "text": "x" * 1000})
                    if number % 100 == 0:
                        with open(value["notes"], "w") as file:
                            file.write(str(number))
            elif name == "exit":
                sys.stdout.flush()
                sys.exit(value)
            elif name == "die":
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGKILL)


main(sys.argv[1:])
