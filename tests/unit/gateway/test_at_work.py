from tests.parts.house import house
from wayhouse.gateway.at_work import AtWork
from wayhouse.host.model import ChuteAtWork


async def test_the_containers_of_all_chutes_with_what_they_do(tmp_path):
    async with house(tmp_path) as one:
        work = AtWork(one.gateway.chutes)
        assert await work.chutes_at_work() == []
        await one.install("app")
        assert await work.chutes_at_work() == [ChuteAtWork(name="app-main", state="running")]
