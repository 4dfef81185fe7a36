"""The golden cases of the language, run by Airbyte's own engine: what does it do otherwise?

    PYTHON_WITH_AIRBYTE_CDK tests/golden/beside_cdk.py [CASE …]

Requests, records and rejects are compared in any order, errors by whether there is one. A case that says why it
`differs` is expected to.
"""

from __future__ import annotations

import difflib
import json
import logging
import multiprocessing
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "declarative"))

from case import Case, cases, run, serving


def airbyte(name: str, paths: dict[str, str]) -> list[dict[str, Any]]:
    """The messages of Airbyte's engine for a command."""
    from airbyte_cdk.cli.source_declarative_manifest._run import create_declarative_source
    from airbyte_cdk.entrypoint import AirbyteEntrypoint

    arguments = [name, "--manifest-path", paths["manifest"], "--config", paths["config"]]
    if name == "read":
        arguments += ["--catalog", paths["catalog"], "--state", paths["state"]]
    results: list[dict[str, Any]] = []
    try:
        source = create_declarative_source(["check", *arguments[1:5]] if name == "spec" else arguments)
        parsed = AirbyteEntrypoint.parse_args(arguments if name != "spec" else [name])
        for text in AirbyteEntrypoint(source).run(parsed):
            results += [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    except Exception as error:
        output = getattr(error, "message", None) or str(error)
        internal = getattr(error, "internal_message", "")
        output += f" | {internal} | {str(error.__cause__)[:2000]}"
        results.append({"type": "TRACE", "trace": {"type": "ERROR", "error": {"message": output}}})
    return [m for m in results if m["type"] != "LOG"]


def work(case: Case, answer: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(case) as api:
        from airbyte_cdk.sources.utils import files_directory

        files_directory.AIRBYTE_STAGING_DIRECTORY = f"{folder}/staging"
        answer.put(run(case, api, Path(folder), airbyte).replace(folder, "FOLDER"))


def comparable(text: str) -> list[str]:
    """The sections of a golden, each in a fixed order, without what only we say."""
    results: list[str] = []
    part: list[str] = []
    for item in [*text.splitlines()[1:], ""]:
        if item.startswith(("== ", "-- records", "-- state")):
            results += sorted(set(part)) if results and results[-1].startswith("== ") else sorted(part)
            part = []
            results.append(item)
        elif item.startswith("-- error"):
            part.append("-- error")
        elif item.startswith("FAILED"):
            part.append("FAILED")
        elif item and not item.startswith(("-- warning", "-- config")):
            part.append(item)
    results += sorted(part)
    # A stream that failed has a state there, and none here.
    failed = {line.split(" ")[2].rstrip(":") for line in text.splitlines() if line.startswith("-- error: ")}
    return [
        result
        for result in results
        if not failed or not (result.split(" ")[0] in failed or result in ("-- records", "-- state"))
    ]


def main(names: list[str]) -> int:
    wrong = 0
    chosen = [case for case in cases() if not names or case.name in names]
    for case in chosen:
        answer: Any = multiprocessing.Queue()
        process = multiprocessing.Process(target=work, args=(case, answer), daemon=True)
        process.start()
        try:
            theirs = answer.get(timeout=90)
        except Exception as error:
            theirs = f"# nothing\n{error!r}"
        process.kill()
        ours = case.golden.read_text("utf-8") if case.golden.exists() else ""
        difference = list(difflib.unified_diff(comparable(ours), comparable(theirs), "ours", "theirs", "", "", 1, ""))
        reason = case.values.get("differs", "")
        wrong += bool(difference) != bool(reason)
        print(
            f"{case.name}: {'the same' if not difference else 'differs'}{f' ({reason})' if reason else ''}", flush=True
        )
        if difference and (names or not reason):
            print("\n".join(difference))
            print(*[line for line in theirs.splitlines() if line.startswith(("-- error", "FAILED"))], sep="\n")
    print(f"{len(chosen)} cases, {wrong} unexpected")
    return 1 if wrong else 0


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    import airbyte_cdk.cli.source_declarative_manifest._run
    import airbyte_cdk.entrypoint  # noqa: F401

    logging.disable(logging.CRITICAL)

    sys.exit(main(sys.argv[1:]))
