/* The smallest MDP 0.1 broker in C, to compare with: the design of the ZeroMQ guide's broker, written from RFC 7 with czmq, one message
   of czmq's for each that comes. One request a worker; a list of waiting workers for each service, the oldest first; expired ones are
   dropped when they are next to be used. `mdp_broker PORT` prints "ready" once it is bound. */

#include <czmq.h>

enum { READY = 1, REQUEST, REPLY, HEARTBEAT, DISCONNECT };
#define INTERVAL_MS 2500
#define LIVENESS 3

typedef struct {
    char *name;
    zlist_t *requests, *waiting;
} service_t;

typedef struct {
    zframe_t *address;
    char *key;
    service_t *service;
    int64_t expiry;
    bool is_waiting;
} worker_t;

static zsock_t *router;
static zhash_t *services, *workers;

static void put(zframe_t *address, const char *header, int command, zmsg_t *body)
{
    byte code = (byte) command;
    if (command)
        zmsg_pushmem(body, &code, 1);
    zmsg_pushstr(body, header);
    zmsg_pushmem(body, "", 0);
    zmsg_prepend(body, &address);
    zmsg_send(&body, router);
}

static void tell(worker_t *worker, int command, zmsg_t *body)
{
    put(zframe_dup(worker->address), "MDPW01", command, body ? body : zmsg_new());
}

static service_t *service_of(zframe_t *frame)
{
    char *name = zframe_strdup(frame);
    service_t *service = zhash_lookup(services, name);
    if (!service) {
        service = calloc(1, sizeof *service);
        service->name = strdup(name);
        service->requests = zlist_new();
        service->waiting = zlist_new();
        zhash_insert(services, name, service);
    }
    free(name);
    return service;
}

static void forget(worker_t *worker)
{
    zlist_remove(worker->service->waiting, worker);
    zhash_delete(workers, worker->key);
    zframe_destroy(&worker->address);
    free(worker->key);
    free(worker);
}

static void dispatch(service_t *service)
{
    while (zlist_size(service->requests) && zlist_size(service->waiting)) {
        worker_t *worker = zlist_first(service->waiting);
        if (worker->expiry < zclock_mono()) {
            forget(worker);
            continue;
        }
        zlist_pop(service->waiting);
        worker->is_waiting = false;
        tell(worker, REQUEST, zlist_pop(service->requests));
    }
}

static void wait_for_work(worker_t *worker)
{
    worker->is_waiting = true;
    zlist_append(worker->service->waiting, worker);
    dispatch(worker->service);
}

/* [service][body...] */
static void from_client(zframe_t *sender, zmsg_t *message)
{
    zframe_t *name = zmsg_pop(message);
    if (name && zmsg_size(message)) {
        service_t *service = service_of(name);
        zmsg_pushmem(message, "", 0);
        zmsg_prepend(message, &sender);
        zlist_append(service->requests, message);
        dispatch(service);
    } else {
        zframe_destroy(&sender);
        zmsg_destroy(&message);
    }
    zframe_destroy(&name);
}

/* [command][service or client, empty, body...] */
static void from_worker(zframe_t *sender, zmsg_t *message)
{
    zframe_t *code = zmsg_pop(message), *name = zmsg_pop(message);
    int command = code && zframe_size(code) == 1 ? *zframe_data(code) : 0;
    char *key = zframe_strhex(sender);
    worker_t *worker = zhash_lookup(workers, key);
    if (worker)
        worker->expiry = zclock_mono() + INTERVAL_MS * LIVENESS;
    if (command == READY && !worker && name) {
        worker = calloc(1, sizeof *worker);
        worker->address = zframe_dup(sender);
        worker->key = strdup(key);
        worker->service = service_of(name);
        worker->expiry = zclock_mono() + INTERVAL_MS * LIVENESS;
        zhash_insert(workers, key, worker);
        wait_for_work(worker);
    } else if (command == REPLY && worker && !worker->is_waiting && name && zmsg_size(message) > 1) {
        zframe_t *empty = zmsg_pop(message);
        zframe_destroy(&empty);
        zmsg_pushstr(message, worker->service->name);
        put(zframe_dup(name), "MDPC01", 0, message);
        message = NULL;
        wait_for_work(worker);
    } else if (worker && command != HEARTBEAT) {
        if (command != DISCONNECT)
            tell(worker, DISCONNECT, NULL);
        forget(worker);
    } else if (!worker && command != DISCONNECT) {
        put(zframe_dup(sender), "MDPW01", DISCONNECT, zmsg_new());
    }
    free(key);
    zframe_destroy(&code);
    zframe_destroy(&name);
    zframe_destroy(&sender);
    zmsg_destroy(&message);
}

static void handle(zmsg_t *message)
{
    zframe_t *sender = zmsg_pop(message), *empty = zmsg_pop(message), *header = zmsg_pop(message);
    if (header && zframe_size(empty) == 0 && zframe_streq(header, "MDPC01"))
        from_client(sender, message);
    else if (header && zframe_size(empty) == 0 && zframe_streq(header, "MDPW01"))
        from_worker(sender, message);
    else {
        zframe_destroy(&sender);
        zmsg_destroy(&message);
    }
    zframe_destroy(&empty);
    zframe_destroy(&header);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    services = zhash_new();
    workers = zhash_new();
    router = zsock_new(ZMQ_ROUTER);
    if (zsock_bind(router, "tcp://127.0.0.1:%s", argv[1]) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    zpoller_t *poller = zpoller_new(router, NULL);
    int64_t beat_at = zclock_mono() + INTERVAL_MS;
    while (true) {
        int64_t left = beat_at - zclock_mono();
        if (zpoller_wait(poller, left > 0 ? (int) left : 0))
            handle(zmsg_recv(router));
        else if (zpoller_terminated(poller))
            return 0;
        if (zclock_mono() >= beat_at) {
            for (worker_t *worker = zhash_first(workers); worker; worker = zhash_next(workers))
                tell(worker, HEARTBEAT, NULL);
            beat_at = zclock_mono() + INTERVAL_MS;
        }
    }
}
