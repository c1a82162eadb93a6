from wayhouse.devices.types.button import ButtonDevice


def test_a_press_is_not_to_be_repeated():
    press = ButtonDevice({"oid": "button", "name": "bell"}).command("press")
    assert press.writeonly
    assert not press.idempotent
