"""Every row of the table, asked by everybody: what the policy says is what happens, and nothing fails."""

import re

import pytest

from tests.parts.asgi import RefusedError
from wayhouse.access.model import Identity, Role
from wayhouse.access.policy import Right, permits
from wayhouse.api.endpoints import ALL
from wayhouse.api.table import Channel, Endpoint

ENDPOINTS = [row for row in ALL if isinstance(row, Endpoint)]
CHANNELS = [(path, row) for row in ALL if isinstance(row, Channel) for path in (row.path, *row.also)]
WHO = ("nobody", "wrong", "guest", "user", "chute:mine", "api-token", "trusted", "admin", "owner")
NOT_HERE = ("/snapd", "/api/v1/bus", "/ws/bus/keys")
"""What a test machine does not have."""
CHUTES = ("mine", "foreign", "absent")
"""`mine` belongs to the trusted user, `foreign` to the administrator."""
ALSO_BY_BODY = {
    "POST /api/v1/chutes/": {},
    "POST /api/v1/changes/": {"updateClass": "CHUTE", "updateType": "delete", "name": "foreign"},
    "DELETE /api/v1/changes/{id}": None,
    "PUT /api/v1/chutes/{chute}": {"config": {}},
    "POST /api/v1/password/change": {"password": "another-long-one", "username": "owner"},
    "POST /api/v1/password/clear": None,
    "PUT /api/v1/users/{user}": {"role": "guest"},
    "DELETE /api/v1/users/{user}": None,
    "POST /api/v1/clock/rtc-from-system": None,  # the settings say that nobody may
    "POST /api/v1/clock/system-from-rtc": None,
    "POST /api/v1/tokens": {"name": "ci", "role": "owner"},
    "POST /api/v1/users": {"name": "new", "password": "a-long-password", "role": "owner"},
}
"""Rows whose handler looks closer: what the policy permits may be refused there, never the other way round."""
BODIES = {
    "POST /api/v1/users": {"name": "new", "password": "a-long-password"},
    "PUT /api/v1/chutes/{chute}/config": {"description": "new"},
    "POST /api/v1/config/sshKeys/{user}": {"key": "ssh-ed25519 AAAA nobody"},
    "DELETE /api/v1/config/sshKeys/{user}": {"key": "ssh-ed25519 AAAA nobody"},
}


async def cast(house):
    """Headers and identity of everybody. The API token is the administrator's."""
    await house.install("mine", "trusted")
    await house.install("foreign", "admin")
    _, secret = await house.gateway.access.api_tokens.create(house.identity("admin"), "ci")
    people = {"nobody": ({}, None), "wrong": ({"authorization": "Bearer None"}, None)}
    people |= {role.label: (house.bearer(role.label), house.identity(role.label)) for role in Role}
    people["chute:mine"] = (
        house.bearer("chute:mine"),
        Identity("mine", "chute", Role.GUEST, chute="mine", via="chute"),
    )
    people["api-token"] = (
        {"authorization": f"Bearer {secret}"},
        Identity("admin", role=Role.ADMIN, via="api-token"),
    )
    return people


def targets(path):
    """(path, chute or None) for a row's path with its variables filled in."""
    fixed = {"id": "1", "user": "guest", "network": "lan", "mac": "00:00:00:00:00:00", "rest...": "a/b"}
    filled = re.sub(r"{([\w.]+)}", lambda match: fixed.get(match[1], match[0]), path)
    if "{chute}" not in filled:
        return [(filled, None)]
    return [(filled.replace("{chute}", chute), chute) for chute in CHUTES]


def expected(house, right, identity, chute):
    installed = house.gateway.chutes.find(chute) if chute else None
    owner = (installed.owner.name, installed.owner.domain) if installed else None
    if permits(right, identity, chute=chute, chute_owner=owner):
        return "permitted"
    return 401 if identity is None else 403


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
async def test_a_row_does_for_everybody_what_the_policy_says(house, row):
    people = await cast(house)
    body = BODIES.get(row.name, ALSO_BY_BODY.get(row.name))
    if body is None and row.body is not None:
        body = {}
    for who in WHO:
        headers, identity = people[who]
        for target, chute in targets(row.path):
            answer = await house.ask(row.method, target, body, who=None, headers=headers)
            wanted = expected(house, row.right, identity, chute)
            told = f"{who}: {row.method} {target} -> {answer}"
            if wanted == "permitted":
                is_missing = row.path.startswith(NOT_HERE) and answer.status == 503
                assert answer.status < 500 or is_missing, told
                assert answer.status != 401 or row.right is Right.OPEN, told
                assert answer.status != 403 or row.name in ALSO_BY_BODY, told
            else:
                assert answer.status == wanted, told
                assert answer.headers["content-type"] == "application/problem+json", told
                assert ("www-authenticate" in answer.headers) == (wanted == 401), told


@pytest.mark.parametrize(("path", "row"), CHANNELS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_channel_does_for_everybody_what_the_policy_says(house, path, row):
    people = await cast(house)
    for who in WHO:
        headers, identity = people[who]
        for target, chute in targets(path):
            wanted = expected(house, row.right, identity, chute)
            told = f"{who}: {target}"
            socket = await handshake(house, target, headers)
            events = await first_status(house, target, headers)
            if wanted == "permitted":
                is_missing = path.startswith(NOT_HERE) and (socket, events) == (503, 503)
                assert (socket, events) in {(101, 200), (404, 404)} or is_missing, told
            else:
                assert (socket, events) == (wanted, wanted), told


async def handshake(house, target, headers):
    try:
        async with house.websocket(target, who=None, headers=headers):
            return 101
    except RefusedError as refused:
        return refused.answer.status


async def first_status(house, target, headers):
    more = {**headers, "accept": "text/event-stream"}
    async with house.exchange("GET", target, who=None, headers=more) as one:
        return await one.begin()


def test_every_row_says_what_it_is_for():
    names = [row.name for row in ENDPOINTS]
    assert len(names) == len(set(names))
    assert all(row.summary for row in ALL)
    assert {row.right for row in ENDPOINTS if row.method != "GET"} >= {Right.ADMINISTER, Right.CHANGE_CHUTE}


def test_what_is_open_is_little():
    opened = {row.path for row in ALL if row.right is Right.OPEN}
    assert opened == {
        "/healthz", "/api/v1/openapi.json", "/api/v1/auth/local", "/api/v1/auth/link", "/api/v1/auth/cloud",
    }  # fmt: skip
