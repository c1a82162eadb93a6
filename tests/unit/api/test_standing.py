"""What is known of a stream: only what was written, and what its client said until it is answered."""

from wayhouse.api.standing import KEY, WAITING_FRAMES, Standing, standing_of


async def test_a_text_is_unanswered_until_the_next_is_asked_for():
    one = Standing(said=["a"])
    heard = one.heard()
    assert await anext(heard) == "a"
    one.hear("b")
    assert one.unanswered == ["a", "b"]
    assert await anext(heard) == "b"
    assert one.unanswered == ["b"]
    await heard.aclose()


def test_a_flood_is_dropped():
    one = Standing()
    for _ in range(2 * WAITING_FRAMES):
        one.hear("x")
    assert len(one.unanswered) == WAITING_FRAMES


def test_a_frame_without_a_cursor_moves_nothing():
    one = Standing("3")
    one.passed(None)
    assert one.cursor == "3"
    one.passed("4")
    assert one.cursor == "4"


def test_who_took_over_heeds_no_cursor_of_the_client():
    scope = {"headers": [(b"last-event-id", b"2")], "query_string": b"resume=1"}
    assert Standing().resume(scope) == "2"
    assert Standing("9", taken_over=True).resume(scope) == "9"
    assert Standing(None, taken_over=True).resume(scope) is None


def test_without_one_in_the_scope_there_is_a_new_one():
    one = Standing()
    assert standing_of({KEY: one}) is one
    assert standing_of({}).cursor is None
