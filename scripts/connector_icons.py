"""Writes the icons of connectors into kitestring/ui/src/catalog, from Simple Icons (https://simpleicons.org, CC0-1.0).

`.venv/bin/python scripts/connector_icons.py [FOLDER]`: the folder of the unpacked npm package `simple-icons`; without
one it is fetched with npm. An icon with a licence of its own is left out: its connector has a monogram, as have all
whose vendor is not among the icons.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from kitestring.server.connectors import definitions

VERSION = "16.37.0"
OUT = Path(__file__).resolve().parent.parent / "kitestring" / "ui" / "src" / "catalog"
MAX_PATH = 5_000
"""Longer paths are too detailed for an icon of 20 pixels."""

BRANDS = {
    **dict.fromkeys(("postgres", "pgvector"), "postgresql"),
    **dict.fromkeys(("zendesk-support", "zendesk-chat", "zendesk-sunshine", "zendesk-talk"), "zendesk"),
    **{
        f"zoho-{part}": "zoho"
        for part in (
            *("analytics-metadata-api", "bigin", "billing", "books", "campaign", "crm", "desk", "expense"),
            *("inventory", "invoice"),
        )
    },
    **dict.fromkeys(("facebook-marketing", "facebook-pages"), "facebook"),
    **dict.fromkeys(("youtube-analytics", "youtube-data"), "youtube"),
    **dict.fromkeys(("gcs", "gcs-data-lake"), "googlecloudstorage"),
    **dict.fromkeys(("firebase-realtime-database", "firestore"), "firebase"),
    **dict.fromkeys(("sap-fieldglass", "sap-hana-enterprise"), "sap"),
    **dict.fromkeys(("snowflake-cortex",), "snowflake"),
    "adjust": "adjust",
    "airbyte-customer-io-source": "customerdotio",
    "aws-cloudtrail": "",
    "apple-search-ads": "apple",
    "bigquery": "googlebigquery",
    "cisco-meraki": "cisco",
    "cockroachdb": "cockroachlabs",
    "dockerhub": "docker",
    "ebay-finance": "ebay",
    "ebay-fulfillment": "ebay",
    "google-analytics-data-api": "googleanalytics",
    "google-directory": "google",
    "google-pagespeed-insights": "google",
    "google-webfonts": "googlefonts",
    "hugging-face-datasets": "huggingface",
    "k6-cloud": "k6",
    "kafka": "apachekafka",
    "monday": "",
    "news-api": "",
    "paypal-transaction": "paypal",
    "pexels-api": "pexels",
    "snapchat-marketing": "snapchat",
    "sonar-cloud": "sonarqubecloud",
    "spotify-ads": "spotify",
    "the-guardian-api": "theguardian",
    "tiktok-marketing": "tiktok",
    "tmdb": "themoviedatabase",
    "wikipedia-pageviews": "wikipedia",
    "zapier-supported-storage": "zapier",
    # Icons of the same name that are of another vendor.
    **dict.fromkeys(("astra", "delta", "files", "iceberg", "katana"), ""),
}
"""Connectors whose brand is not their name; an empty text: no icon."""

COLOURS = {
    "amazon": "232F3E",
    "amplitude": "1E61F0",
    "astra": "6B3FDF",
    "aws": "232F3E",
    "azure": "0078D4",
    "bamboo": "599D15",
    "bing": "008373",
    "braze": "801ED7",
    "chargebee": "FF3300",
    "chroma": "327EFF",
    "dbt": "FF694B",
    "deepset": "1AB3A6",
    "delta": "00ADD4",
    "drift": "0176FF",
    "dynamodb": "4053D6",
    "eventbrite": "F05537",
    "files": "5C6F7B",
    "freshcaller": "F3A683",
    "freshchat": "FFB534",
    "freshdesk": "25C16F",
    "freshsales": "FF6700",
    "freshservice": "08C7FB",
    "front": "A857F1",
    "gong": "8039DF",
    "gorgias": "161616",
    "iceberg": "277ABE",
    "instagram": "FF0069",
    "klaviyo": "232426",
    "lancedb": "FF734A",
    "launchdarkly": "405BFF",
    "lever": "2D4A5E",
    "linkedin": "0A66C2",
    "marketo": "5C4C9F",
    "microsoft": "5E5E5E",
    "monday": "FF3D57",
    "motherduck": "FFDE02",
    "mssql": "CC2927",
    "netsuite": "403F41",
    "onesignal": "E54B4D",
    "oracle": "C74634",
    "outlook": "0F6CBD",
    "pinecone": "1C17FF",
    "pipedrive": "017737",
    "plaid": "111111",
    "recurly": "F8D131",
    "redshift": "8C4FFF",
    "s3": "569A31",
    "salesforce": "00A1E0",
    "salesloft": "0B8E7B",
    "sample": "0B7285",
    "segment": "52BD95",
    "sendgrid": "51A9E3",
    "service": "81B5A1",
    "sftp": "5C6F7B",
    "singer": "5B4FE9",
    "slack": "4A154B",
    "smartsheets": "003059",
    "sql": "44546A",
    "twilio": "F22F46",
    "twitter": "000000",
    "typesense": "D90368",
    "vectara": "2F6BFF",
    "weaviate": "130C49",
    "workday": "0875E1",
    "yotpo": "0042E4",
    "zenefits": "FF5745",
}
"""The colours of vendors without a free icon, as their sites and brand guides have them: by type, or its first word."""


def package(folder: Path) -> Path:
    """The unpacked package, from the registry of npm."""
    command = ["npm", "pack", "--silent", f"simple-icons@{VERSION}"]
    name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def connector_names() -> list[tuple[str, str, bool]]:
    """Type, title and whether it is one of Kitestring's, of every connector."""
    return sorted(
        {
            (definition.type, definition.name, definition.native)
            for kind in ("source", "destination")
            for definition in definitions.built_in(kind).values()
        }
    )


def icons(folder: Path) -> dict[str, dict[str, Any]]:
    """The icons of the connectors of Kitestring (`ours`) and of Airbyte's registry (`airbyte`)."""
    entries = json.loads((folder / "data" / "simple-icons.json").read_text("utf-8"))
    free = {entry.get("slug") or letters(entry["title"]): entry for entry in entries if "license" not in entry}
    slugs = {**{letters(entry["title"]): slug for slug, entry in free.items()}, **{slug: slug for slug in free}}
    names = connector_names()
    native = {name for name, _, own in names if own}
    written: dict[str, dict[str, Any]] = {
        file: {"brands": {}, "connectors": {}, "colours": {}} for file in ("ours", "airbyte")
    }
    for name, title, _ in names:
        part = written["ours" if name in native else "airbyte"]
        colour = COLOURS.get(name, COLOURS.get(name.partition("-")[0], ""))
        slug = BRANDS.get(name, slugs.get(letters(name)) or slugs.get(letters(title)) or "")
        if slug not in free:
            part["colours"] |= {name: colour} if colour else {}
            continue
        svg = (folder / "icons" / f"{slug}.svg").read_text("utf-8")
        (path,) = re.findall(r'<path d="([^"]+)"', svg)
        if len(path) > MAX_PATH and name not in native:
            continue
        part["brands"][slug] = [free[slug]["hex"], path]
        part["connectors"][name] = slug
    return written


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = icons(Path(sys.argv[1]) if len(sys.argv) > 1 else package(Path(folder)))
    for name, part in written.items():
        path = OUT / f"icons.{name}.json"
        path.write_text(json.dumps(part, indent=1, sort_keys=True) + "\n", "utf-8")
        sys.stdout.write(f"{path.name}: {len(part['connectors'])} connectors, {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
