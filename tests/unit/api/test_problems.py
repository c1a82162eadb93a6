import json

from wayhouse.access.model import LockedOutError
from wayhouse.api.problems import MEDIA, problem, reply_for
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, NotFoundError, UnauthenticatedError


def test_a_problem_has_the_fields_of_rfc_9457_and_those_of_old_clients():
    assert problem(NotFoundError("Gone.", chute="a")) == {
        "chute": "a", "type": "urn:wayhouse:problem:not-found", "title": "Not found", "status": 404,
        "detail": "Gone.", "code": "not-found", "error": "Gone.", "message": "Gone.",
    }  # fmt: skip


def test_a_field_never_hides_a_known_one():
    assert problem(NotFoundError("Gone.", status=200))["status"] == 404


def test_what_is_unforeseen_says_nothing():
    reply = reply_for(KeyError("secret"))
    assert (reply.status, reply.media) == (500, MEDIA)
    assert "secret" not in json.dumps(reply.body)


def test_the_challenge_is_for_those_who_can_answer_it():
    assert reply_for(UnauthenticatedError("x")).headers[0][0] == "www-authenticate"
    assert reply_for(UnauthenticatedError("x"), challenge=False).headers == ()


def test_a_lockout_says_when_to_come_back():
    assert ("retry-after", "8") in reply_for(LockedOutError("x", retry_after_s=7.2)).headers


def test_any_text_can_be_told():
    codec.encode_json(reply_for(BadInputError("\udc80", path="\udc80", count=1)).body)
