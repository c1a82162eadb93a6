"""What sd_notify sends, read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.runtime.supervision.notify_message import MAX_STATUS, STORED, Notice, parse


@pytest.mark.parametrize(
    ("data", "notice"),
    [
        (b"READY=1", Notice(ready=True)),
        (b"READY=1\nSTATUS=3 apps\n", Notice(ready=True, status="3 apps")),
        (b"READY=0\nSTOPPING=1\nRELOADING=1\0\0", Notice(stopping=True, reloading=True)),
        (b"MAINPID=42", Notice(main_pid=42)),
        (b"MAINPID=0", Notice()),
        (b"MAINPID=-4\nMAINPID=99999999999", Notice()),
        (b"WATCHDOG=1", Notice(watchdog="1")),
        (b"WATCHDOG=trigger\nWATCHDOG_USEC=1500000", Notice(watchdog="trigger", watchdog_s=1.5)),
        (b"WATCHDOG=2", Notice()),
        (b"EXTEND_TIMEOUT_USEC=2000000", Notice(extend_s=2.0)),
        (b"FDSTORE=1\nFDNAME=http\nFDPOLL=0", Notice(store=True, fd_name="http", poll=False)),
        (b"FDSTORE=1\nFDNAME=a:b", Notice(store=True, fd_name=STORED)),
        (b"FDSTOREREMOVE=1\nFDNAME=http", Notice(remove=True, fd_name="http")),
        (b"BARRIER=1", Notice(barrier=True)),
        (b"STATUS=\x1b[31m\xff", Notice(status=" [31m\ufffd")),
        (b"X_UNKNOWN=1\nnonsense", Notice()),
    ],
)
def test_messages(data, notice) -> None:
    assert parse(data) == notice


@pytest.mark.parametrize("data", [b"", b"\0", b"READY=1\0STATUS=x", b"x" * 5000])
def test_no_messages(data) -> None:
    with pytest.raises(BadInputError):
        parse(data)


NAMES = [
    "READY",
    "STATUS",
    "MAINPID",
    "WATCHDOG_USEC",
    "EXTEND_TIMEOUT_USEC",
    "FDNAME",
    "FDSTORE",
    "WATCHDOG",
    "",
]
LINES = st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=30)).map("=".join), max_size=9)


@given(st.one_of(st.binary(max_size=300), LINES.map("\n".join).map(str.encode)))
def test_anything(data) -> None:
    try:
        notice = parse(data)
    except BadInputError:
        return
    assert len(notice.status or "") <= MAX_STATUS
    assert notice.status is None or notice.status.isprintable()
    assert notice.fd_name.isascii()
    assert notice.main_pid is None or 0 < notice.main_pid < 1 << 31
    assert notice.extend_s is None or notice.extend_s >= 0
