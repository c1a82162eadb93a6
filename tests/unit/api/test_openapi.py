"""The description of the API is a valid document, and a file in git shows every change of it."""

import json
import os
from pathlib import Path

from openapi_spec_validator import validate

from wayhouse.api import openapi
from wayhouse.api.endpoints import ALL
from wayhouse.api.table import Channel, Endpoint
from wayhouse.base import codec

SNAPSHOT = Path(__file__).parent / "snapshots" / "openapi.json"


def document():
    """As it is sent."""
    return codec.decode_json(codec.encode_json(openapi.describe(ALL, version="0")), dict)


def test_it_is_a_valid_openapi_3_1_document():
    validate(document())


def test_it_is_what_the_snapshot_says():
    text = json.dumps(document(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert SNAPSHOT.read_text(encoding="utf-8") == text, "UPDATE_SNAPSHOTS=1 writes it anew"


def test_every_row_is_in_it():
    paths = document()["paths"]
    for row in ALL:
        operations = paths[row.path.replace("...}", "}")]
        method = "get" if isinstance(row, Channel) else row.method.lower()
        assert operations[method]["x-right"] == row.right.value


def test_operations_have_names_of_their_own():
    names = [one["operationId"] for path in document()["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_what_is_open_needs_no_credentials_and_the_rest_does():
    paths = document()["paths"]
    for row in ALL:
        if isinstance(row, Endpoint):
            operation = paths[row.path.replace("...}", "}")][row.method.lower()]
            assert bool(operation["security"]) == (row.right.value != "open")


def test_queries_and_bodies_are_described():
    paths = document()["paths"]
    limit = paths["/api/v1/changes/history"]["get"]["parameters"][0]
    assert (limit["name"], limit["in"], limit["schema"]["type"]) == ("limit", "query", "integer")
    create = paths["/api/v1/chutes/"]["post"]["requestBody"]
    assert set(create["content"]) == {"application/json", "application/x-tar"}


async def test_it_is_served(house):
    answer = await house.ask("GET", "/api/v1/openapi.json", who=None)
    assert answer.status == 200
    validate(answer.json())
