"""Puts the built web interface into the wheel and the source distribution; builds it where it is not built."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WITHOUT = "KITESTRING_WITHOUT_INTERFACE"


class Interface(BuildHookInterface[Any]):
    """Editable installs go without: `make ui` builds where `kitestring up` looks."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        for kind in ("sources", "destinations"):  # the pages that the interface shows beside a form
            build_data["force_include"][f"docs/reference/{kind}"] = f"kitestring/pages/{kind}"
        if os.environ.get(WITHOUT):
            return
        spec = importlib.util.spec_from_file_location("interface", Path(self.root) / "scripts" / "interface.py")
        assert spec is not None
        assert spec.loader is not None
        interface = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(interface)
        interface.trust()
        try:
            interface.build()
        except interface.Unbuilt as error:
            raise SystemExit(
                f"The web interface cannot be built: {error}.\n"
                f"Install Node.js {interface.OLDEST} or newer, or run `make ui` first, which brings its own; or set "
                f"{WITHOUT}=1 to build without the interface."
            ) from error
        build_data["force_include"]["kitestring/ui/dist"] = "kitestring/ui/dist"
