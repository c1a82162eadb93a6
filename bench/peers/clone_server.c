/* The smallest server of the clone in C, to compare with: the design of the ZeroMQ guide's, written from RFC 12 with czmq. Updates come in on a
   PULL, get the next sequence, are kept in a hash and go out on a PUB. There is no limit to what waits for a subscriber, so that none is lost.
   `clone_server PUB PULL` prints "ready" once both ports are bound. */

#include <czmq.h>

static void drop(void **item)
{
    zmsg_destroy((zmsg_t **) item);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    zsock_t *publisher = zsock_new(ZMQ_PUB), *collector = zsock_new(ZMQ_PULL);
    zsock_set_unbounded(publisher);
    if (zsock_bind(publisher, "tcp://127.0.0.1:%s", argv[1]) < 0 || zsock_bind(collector, "tcp://127.0.0.1:%s", argv[2]) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    zhashx_t *kept = zhashx_new();
    zhashx_set_destructor(kept, drop);
    uint64_t sequence = 0;
    while (true) {
        zmsg_t *update = zmsg_recv(collector);
        if (!update)
            break;
        zframe_t *key = zmsg_first(update), *number = zmsg_next(update);
        byte bytes[8];
        sequence++;
        for (int place = 0; place < 8; place++)
            bytes[place] = (byte) (sequence >> (56 - 8 * place));
        zframe_reset(number, bytes, sizeof bytes);
        char *name = zframe_strdup(key);
        zmsg_t *copy = zmsg_dup(update);
        zmsg_send(&copy, publisher);
        zhashx_update(kept, name, update);
        free(name);
    }
    return 0;
}
