from __future__ import annotations

from xml.etree import ElementTree as ET

from wayhouse.portal.icons import ICONS


def test_icons_are_wellformed_hidden_and_without_style():
    for name, svg in ICONS.items():
        element = ET.fromstring(svg)
        assert element.get("aria-hidden") == "true", name
        assert "style" not in svg
