import os

from wayhouse.host.drivers.sysfs import MAX_FILE, Sysfs


def test_texts_names_and_targets(tree):
    files = Sysfs(tree)
    assert files.text("sys/devices/virtual/dmi/id/sys_vendor") == "PC Engines"
    assert files.names("sys/class/ieee80211") == ["phy0", "phy1", "phy2", "phy3"]
    assert files.target("sys/class/ieee80211/phy2/device")[-2:] == ("1-1", "1-1:1.0")


def test_what_is_missing_or_odd_is_none(tree, tmp_path):
    files = Sysfs(tree)
    (tree / "empty").write_text("  \n")
    (tree / "odd").write_bytes(b"caf\xe9")
    (tree / "huge").write_text("x" * MAX_FILE * 2)
    (tree / "loop").symlink_to("loop")
    (tree / "out").symlink_to(tmp_path)
    assert [files.text(name) for name in ("nothing", "empty", "proc", "loop")] == [None] * 4
    assert files.text("odd") == "caf\N{REPLACEMENT CHARACTER}"
    assert len(files.text("huge")) == MAX_FILE
    assert files.names("nothing") == files.names("odd") == []
    assert files.target("nothing") == files.target("loop") == files.target("out") == ()


def test_the_real_machine_can_be_read():
    assert Sysfs().text("proc/uptime")
    assert "self" in Sysfs().names("proc")
    assert Sysfs().target("proc/self") == ("proc", str(os.getpid()))
