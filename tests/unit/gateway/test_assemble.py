import msgspec
import pytest

from tests.parts.house import house
from wayhouse.chutes.model import PortBinding, Requests, Service, Spec, Web
from wayhouse.gateway.assemble import by_name, web_port


@pytest.fixture
async def whole(tmp_path):
    async with house(tmp_path) as one:
        yield one


async def test_it_answers(whole):
    assert (await whole.ask("GET", "/healthz", who=None)).status == 200
    assert (await whole.ask("GET", "/", who=None)).status in {200, 303}


async def test_the_port_of_a_page(whole):
    await whole.install("app", web={"service": "main", "port": 8000})
    chute = whole.gateway.chutes.get("app")
    assert web_port(chute) == chute.ports["main"]["8000/tcp"]
    replace = msgspec.structs.replace
    assert web_port(replace(chute, desired="stopped")) is None
    assert web_port(replace(chute, ports={})) is None
    assert web_port(None) is None
    on_host = Service(name="main", requests=Requests(network_mode="host", port_bindings=(PortBinding(1),)))
    spec = Spec(name="app", web=Web("main", 8000), services={"main": on_host})
    assert web_port(replace(chute, spec=spec)) == 8000
    assert web_port(replace(chute, spec=replace(spec, web=None))) is None


async def test_a_host_name_has_no_capitals(whole):
    await whole.install("Hello")
    assert by_name(whole.gateway.chutes, "hello").name == "Hello"
    await whole.install("hello")
    assert by_name(whole.gateway.chutes, "hello").name == "hello"
    assert by_name(whole.gateway.chutes, "Hello").name == "Hello"
    assert by_name(whole.gateway.chutes, "none") is None


async def test_the_metrics_of_the_machine_are_there(whole):
    text = (await whole.ask("GET", "/metrics")).body.decode()
    for name in (
        "wayhouse_chutes",
        "wayhouse_changes_open",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ):
        assert f"# TYPE {name} gauge" in text


async def test_settings_choose_the_domains_of_apps(whole, tmp_path):
    from tests.parts.house import SETTINGS
    from wayhouse.api.apps import WebSettings

    settings = msgspec.structs.replace(SETTINGS, web=WebSettings(domains=("apps.test",)))
    async with house(tmp_path / "other", settings) as other:
        answer = await other.ask("GET", "/", who=None, headers={"host": "none.apps.test"})
        assert (answer.status, b"no running app called none" in answer.body) == (404, True)
