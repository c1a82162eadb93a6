from wayhouse.access.model import Identity, Role
from wayhouse.api.actors import actor_of
from wayhouse.ledger.model import Actor


def test_an_identity_becomes_the_ledgers_actor():
    assert actor_of(Identity("ann", "localhost", Role.TRUSTED)) == Actor("ann", "localhost", "trusted")


def test_a_chute_is_not_taken_for_a_user_of_its_name():
    assert actor_of(Identity("ann", "chute", chute="ann", via="chute")).domain == "chute"
