from wayhouse.base import codec
from wayhouse.host.environment import shown
from wayhouse.host.masking import MASK


def test_secrets_are_masked_and_odd_bytes_replaced():
    environment = {
        "PATH": "/bin",
        "API_TOKEN": "x",
        "HTTP_PROXY": "http://a:b@c",
        "ODD": "\udcff",
        "EMPTY": "",
    }
    answer = shown(environment)
    assert answer == {
        "PATH": "/bin",
        "API_TOKEN": MASK,
        "HTTP_PROXY": f"http://{MASK}@c",
        "ODD": "\N{REPLACEMENT CHARACTER}",
        "EMPTY": "",
    }
    assert codec.encode_json(answer)
