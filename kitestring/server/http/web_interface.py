"""Serves the web interface: the files that its build leaves in `kitestring/ui/dist`.

They are public and hold no data; what the pages show comes from the API, which asks for credentials. Only files that
the build made are served, found by name in a table, so that no path leads anywhere else. Files below `assets` bear the
digest of their content in their names and are kept by browsers for ever; the page itself is asked for again each time.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

import kitestring
from kitestring.server.auth.access import API_PREFIXES
from kitestring.server.http.problem import Problem

DIST = Path(kitestring.__file__).parent / "ui" / "dist"
PAGE = "index.html"
FOREVER = "public, max-age=31536000, immutable"
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; "
    "manifest-src 'self'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Nothing from elsewhere, no script but the interface's files. Its component library writes styles into the page."""
PACKED = (("br", ".br"), ("gzip", ".gz"))
"""Content encodings, best first, and the suffix of their files."""
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Kitestring</title>
<body style="font: 1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 4rem auto; padding: 0 1rem">
<h1>Kitestring is up</h1>
<p>Its web interface is not built in this copy of the sources. Run <code>make ui</code> and load this page again;
the packages that are released bring it with them.</p>
<p>The API is at <a href="/api/openapi.json">/api/openapi.json</a>; the command line does all that the interface does:
<code>kitestring --help</code>.</p>
</body></html>
"""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the interface: its path, those of its packed forms, its type, and the digest of its content."""

    path: Path
    packed: dict[str, Path]
    type: str
    digest: str


class Pages(Route):
    """Every path that lies outside the APIs: files of the interface, and its page for the paths of its own views."""

    def __init__(self) -> None:
        super().__init__("/{path:path}", self.answer, methods=["GET"], include_in_schema=False)
        self.folder = DIST
        self._built = 0
        self._files: dict[str, File] = {}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Paths of the APIs are none of these, known or not: they are refused in the API's words."""
        path = str(scope.get("path", ""))
        if any(path == place or path.startswith(f"{place}/") for place in API_PREFIXES):
            return Match.NONE, {}
        return super().matches(scope)

    def answer(self, request: Request) -> Response:
        """The file of this path; the page where a browser goes to a view. 404 for anything else."""
        path = str(request.path_params["path"])
        files = self.files()
        if not files and not path:
            return HTMLResponse(NOT_BUILT, headers={"Cache-Control": "no-store"})
        file = files.get(path or PAGE)
        if file is None and is_view(path, request):
            file = files.get(PAGE)
        if file is None:
            raise Problem(
                404, "there is nothing at this path", hint="The OpenAPI document at /api/openapi.json lists all paths."
            )
        return file_response(file, request, forever=path.startswith("assets/"))

    def files(self) -> dict[str, File]:
        """The files of the build, by path; read again after a new build. Empty without a build."""
        try:
            built = (self.folder / PAGE).stat().st_mtime_ns
        except OSError:
            return {}
        if built != self._built:
            self._files = {
                str(path.relative_to(self.folder).as_posix()): file for path, file in files_below(self.folder)
            }
            self._built = built
        return self._files


def files_below(folder: Path) -> list[tuple[Path, File]]:
    """The files of a folder, packed forms and hidden files aside."""
    files = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith(".") or path.suffix in (".br", ".gz"):
            continue
        forms = {name: path.with_name(path.name + suffix) for name, suffix in PACKED}
        packed = {name: form for name, form in forms.items() if form.is_file()}
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        # What a machine's registry says of .js is not always right.
        kind = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}.get(path.suffix, kind)
        files.append((path, File(path, packed, kind, hashlib.sha256(path.read_bytes()).hexdigest()[:32])))
    return files


def is_view(path: str, request: Request) -> bool:
    """Whether a browser goes to one of the interface's own paths: it asks for a page, and the path names no file."""
    return "text/html" in request.headers.get("accept", "") and "." not in path.rpartition("/")[2]


def file_response(file: File, request: Request, *, forever: bool) -> Response:
    """A file as an answer: packed as the browser takes it, or 304 where it has it."""
    accepted = {
        item.partition(";")[0].strip() for item in request.headers.get("accept-encoding", "").lower().split(",")
    }
    packing = next((name for name, _ in PACKED if name in accepted and name in file.packed), "")
    tag = f'"{file.digest}{packing and f"-{packing}"}"'
    headers = {"ETag": tag, "Cache-Control": FOREVER if forever else "no-cache", "Vary": "Accept-Encoding"}
    if file.path.name == PAGE:
        headers["Content-Security-Policy"] = POLICY
    cached_tags = {item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")}
    if tag in cached_tags or "*" in cached_tags:
        return Response(status_code=304, headers=headers)
    if packing:
        headers["Content-Encoding"] = packing
    body = (file.packed[packing] if packing else file.path).read_bytes()
    return Response(body, media_type=file.type, headers=headers)
