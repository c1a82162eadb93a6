"""What code in the sandbox cannot do, tried from inside, as root and as anybody else.

# covers: automation/sandbox/kernel.py
# covers: automation/sandbox/main.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.scenario_lab import Lab
from wayhouse.automation.runs import Outcome
from wayhouse.automation.sandbox.walls import Walls

TRIES = """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, work):
    try:
        found = work()
    except (OSError, RuntimeError, ImportError, ValueError):
        print(what, 'refused')
    else:
        print(what, 'refused' if found == -1 else f'worked: {found!r}')

def system(name, *arguments):
    return lambda: getattr(libc, name)(*arguments)

attempt('secret', lambda: open(SECRET).read())
attempt('passwd', lambda: open('/etc/passwd').read())
attempt('proc', lambda: os.listdir('/proc'))
attempt('write here', lambda: open('/x', 'w'))
attempt('write library', lambda: open(os.__file__, 'a'))
attempt('fork', os.fork)
attempt('exec', lambda: os.execv('/bin/true', ['true']))
attempt('spawn', lambda: __import__('subprocess').run(['/bin/true']))
attempt('thread', lambda: __import__('threading').Thread(target=print).start())
attempt('socket', lambda: __import__('socket').socket())
attempt('unix socket', lambda: __import__('socket').socket(1))
attempt('pair', lambda: __import__('socket').socketpair())
attempt('kill parent', lambda: os.kill(os.getppid(), 0))
attempt('kill all', lambda: os.kill(-1, 0))
attempt('ptrace', system('ptrace', 16, os.getppid(), 0, 0))
attempt('mount', system('mount', b'none', b'/usr', b'tmpfs', 0, None))
attempt('umount', system('umount2', b'/usr', 0))
attempt('chroot', lambda: os.chroot('/usr'))
attempt('unshare', system('unshare', 0x10000000))
attempt('root', lambda: os.setuid(0))
attempt('more memory', lambda: resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40)))
attempt('bpf', system('syscall', 321, 0, 0, 0))
attempt('new filter', system('prctl', 36, 1, 0, 0, 0))
"""
ALLOWED = """
import math, json, datetime, re, statistics, zoneinfo, sqlite3, decimal, random, collections
assert os.environ.get('PYTHONHASHSEED') is None if (os := __import__('os')) else False
assert sorted(os.environ) == ['LANG', 'TZ'], os.environ
assert zoneinfo.ZoneInfo('Europe/Berlin')
opened = []
for fd in range(64):
    try: os.fstat(fd)
    except OSError: continue
    opened.append(fd)
assert len(opened) == 4, opened
assert sorted({'b', 'a', 'c'}) == ['a', 'b', 'c']
print('fine')
"""


async def run(folder: Path, code: str) -> list[str]:
    async with Lab(folder) as lab:
        await lab.add(code)
        await lab.manager.run("one")
        found = await lab.ended()
        assert (found.outcome, found.error) == (Outcome.DONE, "")
        return lab.printed(found)


async def test_what_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    lines = await run(tmp_path, f"SECRET = {str(secret)!r}\n{TRIES}")
    worked = [line for line in lines if not line.endswith(" refused")]
    assert worked == ["new filter worked: 0"]  # PR_SET_CHILD_SUBREAPER, which harms nobody
    assert len(lines) == 23


async def test_what_is_allowed(tmp_path: Path) -> None:
    assert await run(tmp_path, ALLOWED) == ["fine"]


async def test_nothing_is_missing_here(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await run(tmp_path, "pass")
    assert "does not let us" not in caplog.text


@pytest.mark.external
def test_the_same_without_being_root(tmp_path: Path) -> None:
    """As another user in a namespace where nobody has any rights."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare (package util-linux)")
    program = f"""
import asyncio, logging, os, sys
from pathlib import Path
assert os.geteuid() == 12345
sys.path.insert(0, {str(Path(__file__).parents[4])!r})
logging.basicConfig(level='INFO', stream=sys.stdout)
from tests.parts.scenario_lab import Lab
async def main():
    async with Lab(Path({str(tmp_path)!r})) as lab:
        await lab.add({"SECRET = '/etc/hostname'" + TRIES!r})
        await lab.manager.run('one')
        run = await lab.ended()
        print(run.outcome, run.error)
        for line in lab.printed(run): print(line)
asyncio.run(main())
"""
    command = [unshare, "--user", "--map-user=12345", "--map-group=12345", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0] == "done ", done.stdout
    assert [line for line in lines if "worked" in line] == ["new filter worked: 0"]


def test_what_fails_is_told() -> None:
    walls = Walls([], 2**28)

    def fails() -> None:
        raise OSError(1, "no", "thing")

    walls._try("something", fails)
    assert walls.missing == ["something (thing: no)"]
    assert walls._outermost() == sorted(set(walls._outermost()))
