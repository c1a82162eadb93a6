from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.api import endpoints, openapi
from wayhouse.portal import outline


def test_the_whole_table_is_in_the_outline():
    document = openapi.describe(endpoints.ALL, version="1")
    groups = outline.groups(document)
    operations = [one for group in groups for one in group.operations]
    assert len(operations) == sum(len(methods) for methods in document["paths"].values())
    assert len({one.anchor for one in operations}) == len(operations)
    create = next(one for one in operations if (one.method, one.path) == ("POST", "/api/v1/chutes/"))
    assert create.right == "see-chutes"
    assert "--data-binary @app.tar" in create.curl
    assert '"change_id": integer' in create.reply
    stream = next(one for one in operations if one.path == "/ws/changes/{id}/stream")
    assert stream.method == "STREAM"
    assert "text/event-stream" in stream.curl
    health = next(one for one in operations if one.path == "/healthz")
    assert "Authorization" not in health.curl


def test_shapes_look_like_what_they_stand_for():
    components = {
        "Tree": {"type": "object", "properties": {"next": {"$ref": "#/c/Tree"}}, "required": ["next"]}
    }
    assert outline.shape({"$ref": "#/c/Tree"}, components) == '{\n  "next": Tree\n}'
    assert outline.shape({"anyOf": [{"type": "string"}, {"type": "null"}]}, {}) == "string | null"
    assert outline.shape({"enum": ["a", 1]}, {}) == '"a" | 1'
    assert outline.shape({"type": "array", "items": {"type": "integer"}}, {}) == "[integer, ...]"
    assert outline.shape({"type": "object"}, {}) == "{...}"
    assert outline.shape({}, {}) == "any"


_SCHEMA = st.recursive(
    st.sampled_from([{}, {"type": "string"}, {"$ref": "#/c/A"}, {"$ref": "#/c/None"}, {"type": "object"}]),
    lambda inner: st.one_of(
        st.builds(lambda one: {"type": "array", "items": one}, inner),
        st.builds(lambda one: {"type": "object", "properties": {"p": one}}, inner),
        st.builds(lambda one: {"anyOf": [one, one]}, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(_SCHEMA, _SCHEMA)
def test_no_schema_goes_round_for_ever(schema, component):
    assert isinstance(outline.shape(schema, {"A": component}), str)
