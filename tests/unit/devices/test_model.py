import pytest

from wayhouse.base import codec
from wayhouse.base.errors import WayhouseError
from wayhouse.devices import model


def test_errors_have_a_code_and_a_fitting_status():
    leaves = [one for one in vars(model).values() if isinstance(one, type) and issubclass(one, WayhouseError)]
    own = [one for one in leaves if one.__module__ == model.__name__]
    assert len({one.code for one in own}) == len(own)
    assert {one.status for one in own} <= {400, 404, 405, 409, 502, 503}


def test_old_callers_catch_what_they_know():
    with pytest.raises(KeyError, match="Add it"):
        raise model.DeviceFieldMissingError("Add it.", path="oid")
    with pytest.raises(AssertionError):
        raise model.UnknownTypeError("none")


def test_views_are_plain_json():
    view = model.DeviceView(
        id="a",
        name="n",
        fullname="h.d.n",
        oid="switch",
        driver="d",
        address="x",
        values={"power": model.LastValue(value=True, time=1.0)},
    )
    assert codec.to_builtins(view)["values"] == {"power": {"value": True, "time": 1.0, "unit": ""}}
