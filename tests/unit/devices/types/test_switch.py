from wayhouse.devices.types.switch import SwitchDevice


def test_a_switch_is_on_or_off():
    switch = SwitchDevice({"oid": "switch", "name": "lamp"})
    assert switch.command("power").check(value=True) is True
    assert switch.known.poll == 60
