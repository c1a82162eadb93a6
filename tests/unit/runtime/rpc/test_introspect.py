# covers: runtime/rpc/stats.py
"""What a server tells of itself, and how its figures are kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.rpc_server import Sample, listener
from wayhouse.runtime.exceptions import AveException
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.rpc.introspect import signature
from wayhouse.runtime.rpc.stats import Stat


def test_ping_info_and_stats() -> None:
    with Sample(listener()).in_thread() as running:
        with RemoteControl(running.address, "primary", 20) as remote:
            assert remote.PING() == "pong"
            info = remote.INFO()
            assert info["name"] == "wayhouse-sample"
            add = info["methods"]["add"]
            assert add["signature"] == "(a: int, b: int = 2) -> int"
            assert (add["doc"], add["kind"], add["access"]) == ("Add two numbers.", "call", "anyone")
            assert info["methods"]["administer"]["access"] == ["admin", "share"]
            assert info["methods"]["wait"]["threaded"]
            assert info["methods"]["count"]["kind"] == "stream"
            for _ in range(20):
                remote.add(1, 2)
            with pytest.raises(AveException):
                remote.boom("x")
            with pytest.raises(AveException):
                remote.missing()
            stats = remote.STATS()
            assert stats["connections"] == 1
            assert stats["refused"] == 1
            assert stats["methods"]["boom"]["errors"] == 1
            assert stats["methods"]["add"]["calls"] == 20
            assert 0 < stats["methods"]["add"]["p50_us"] <= stats["methods"]["add"]["p99_us"]
            assert "primary" not in str((info, stats))
        with RemoteControl(running.address, "wrong", 20) as stranger:
            assert stranger.PING() == "pong"
            for method in ("INFO", "STATS", "TRACE"):
                with pytest.raises(AveException, match="not authenticated"):
                    stranger.call(method)


DEFAULT = object()


def test_signatures() -> None:
    def method(a, /, b: list[int], *rest: int, key: Any = DEFAULT, **more: str) -> dict[str, int]: ...

    assert signature(method) == "(a, b: list[int], *rest: int, key: Any = ..., **more: str) -> dict[str, int]"
    assert signature(len) != ""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=10**13), min_size=1, max_size=200))
def test_percentiles_are_right_to_an_eighth(times: list[int]) -> None:
    stat = Stat()
    for one in times:
        stat.add(one)
    ordered = sorted(times)
    for share in (0.5, 0.99):
        exact = ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)] / 1000
        assert abs(stat.percentile(share) - exact) <= exact * 0.3 + 0.01
    assert stat.report()["calls"] == len(times)
    assert len(stat.buckets) == 260


def test_no_calls_have_no_percentile() -> None:
    assert Stat().percentile(0.5) == 0.0


def test_figures_go_on_in_another_process() -> None:
    stat, again = Stat(), Stat()
    for took in (10, 2_000, 3_000_000):
        stat.add(took)
    stat.errors = 1
    again.restore(stat.snapshot())
    assert again.report() == stat.report()
    for nonsense in (None, [1, 2, 3, None], [1, 2, 3, [4]]):
        with pytest.raises(ValueError):
            again.restore(nonsense)
    assert again.report() == stat.report()
