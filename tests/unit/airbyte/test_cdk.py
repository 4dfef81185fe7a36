"""Which airbyte-cdk a connector asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.airbyte.cdk import BEFORE_7, NEWEST, requirement
from kitestring.errors import ConfigError


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("docker.io/airbyte/source-declarative-manifest:6.51.0@sha256:890b1", "airbyte-cdk==6.51.0"),
        ("airbyte/source-declarative-manifest:7.19.1", "airbyte-cdk==7.19.1"),
        ("docker.io/airbyte/python-connector-base:3.0.0@sha256:1a084", f"airbyte-cdk=={BEFORE_7}"),
    ],
)
def test_the_base_image_in_the_metadata_names_the_cdk(tmp_path: Path, image: str, expected: str) -> None:
    (tmp_path / "metadata.yaml").write_text(f"data:\n  connectorBuildOptions:\n    baseImage: {image}\n")
    assert requirement(tmp_path, {"version": "5.15.0"}) == expected


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        ('"^6"', "airbyte-cdk>=6,<7"),
        ('"^0.81.3"', "airbyte-cdk>=0.81.3,<0.82"),
        ('"~6.48"', "airbyte-cdk>=6.48,<6.49"),
        ('"6.48.10"', "airbyte-cdk==6.48.10"),
        ('">=6.1,<7"', "airbyte-cdk>=6.1,<7"),
        ('{version = "^6.5", extras = ["sql"]}', "airbyte-cdk>=6.5,<7"),
        ('"*"', f"airbyte-cdk=={BEFORE_7}"),
    ],
)
def test_the_dependency_of_a_project_names_it_too(tmp_path: Path, dependency: str, expected: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.poetry.dependencies]\nairbyte-cdk = {dependency}\n")
    assert requirement(tmp_path, {"version": "5.15.0"}) == expected


def test_else_the_version_of_the_manifest_says_from_which_side_of_7_it_is(tmp_path: Path) -> None:
    assert requirement(tmp_path, {"version": "4.3.2"}) == f"airbyte-cdk=={BEFORE_7}"
    assert requirement(tmp_path, {"version": "6.48.0"}) == f"airbyte-cdk=={BEFORE_7}"
    assert requirement(tmp_path, {"version": "7.1.0"}) == f"airbyte-cdk=={NEWEST}"
    assert requirement(tmp_path, {}) == f"airbyte-cdk=={NEWEST}"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(ConfigError, match=r"pyproject.toml cannot be read"):
        requirement(tmp_path, {})
