"""`wayhouse store` needs a bus: its tests are beside those of `wayhouse bus`."""


def test_it_says_what_to_do_where_there_is_no_gateway(bare, tmp_path):
    result = bare("--data", tmp_path, "store", "get", "a", "b", "c")
    assert (result.code, result.out) == (3, "")
    assert "wayhouse up" in result.err
