"""`wayhouse cron` on a gateway of its own."""

from __future__ import annotations

from tests.parts.automation_gateway import house, tell

__all__ = ["house", "tell"]


def test_the_life_of_a_job(tell):
    assert "cron add" in tell("cron", "ls").err
    assert tell("cron", "ls", "--json").json == []
    added = tell("cron", "add", "tea", "30 7 * * MON-FRI", "--catch-up", "all", "--limit", "3")
    assert added.code == 0, added
    assert added.out.startswith("tea: At 07:30 on Monday through Friday. Next: 20")
    (listed,) = tell("cron", "ls", "--json").json
    assert (listed["catch_up"], listed["limit"]) == ("all", 3)
    assert "Monday through Friday" in tell("cron", "ls").out
    assert tell("cron", "pause", "tea").out == "tea rests.\n"
    paused = tell("cron", "next", "tea", "-n", "2")
    assert "cron resume tea" in paused.err
    assert len(paused.out.splitlines()) == 3
    assert tell("cron", "run", "tea").out.startswith("tea ran at 20")
    assert tell("cron", "resume", "tea", "--json").json["is_paused"] is False
    assert tell("cron", "rm", "tea").out == "tea is removed.\n"
    assert tell("cron", "rm", "tea").code == 1
    assert tell("cron", "run", "tea", "--json").code == 1


def test_a_schedule_tried_out(tell):
    found = tell("cron", "next", "@every 90s", "-n", "2", "--json").json
    assert (found["meaning"], found["zone"]) == ("Every 1 minute 30 seconds", "UTC")
    assert tell("cron", "next", "@reboot").out == "Once after each start of the machine (UTC).\n"
    refused = tell("cron", "next", "whenever")
    assert refused.code == 1
    assert "Examples" in refused.err


def test_wrong_usage(tell):
    assert tell("cron", "add", "tea").code == 2
    assert tell("cron", "add", "tea", "@daily", "--catch-up", "often").code == 2
    assert tell("cron", "next", "tea", "-n", "0").code == 2
