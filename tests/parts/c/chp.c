/* A subscriber and a publisher of the Clustered Hashmap Protocol written from RFC 12 alone.

   chp watch <snapshot> <publisher> <subtree>: prints `sync <key> <value>` for each KVSYNC, `complete <subtree>`, and then, for each KVPUB
   that is newer, `set <key> <value>` or `delete <key>`, and `hugz` once for each HUGZ, until it is killed. Ends with 3 for any message
   that the RFC does not have, and for a sequence that does not rise.
   chp push|pub <collector> <key> <value> [<ttl>]: one KVSET, on a PUSH socket, or on the PUB socket that the RFC has. */
#include <czmq.h>

static uint64_t s_sequence (zframe_t *frame)
{
    uint64_t sequence = 0;
    if (zframe_size (frame) != 8)
        exit (3);
    for (int index = 0; index < 8; index++)
        sequence = sequence << 8 | zframe_data (frame) [index];
    return sequence;
}

typedef struct {
    char *key, *value;
    uint64_t sequence;
} kvmsg_t;

/* False when nothing came in time. */
static bool s_receive (zsock_t *socket, kvmsg_t *found)
{
    zmsg_t *message = zmsg_recv (socket);
    if (!message)
        return false;
    if (zmsg_size (message) != 5)
        exit (3);
    found->key = zmsg_popstr (message);
    zframe_t *sequence = zmsg_pop (message), *uuid = zmsg_pop (message);
    found->sequence = s_sequence (sequence);
    if (zframe_size (uuid) != 0 && zframe_size (uuid) != 16)
        exit (3);
    char *properties = zmsg_popstr (message);
    if (*properties && properties [strlen (properties) - 1] != '\n')
        exit (3);
    free (properties);
    found->value = zmsg_popstr (message);
    zframe_destroy (&sequence); zframe_destroy (&uuid);
    zmsg_destroy (&message);
    return true;
}

static void s_forget (kvmsg_t *message)
{
    free (message->key); free (message->value);
}

static uint64_t s_snapshot (zsock_t *socket, const char *subtree)
{
    zstr_sendx (socket, "ICANHAZ?", subtree, NULL);
    kvmsg_t message;
    while (s_receive (socket, &message)) {
        bool is_last = streq (message.key, "KTHXBAI");
        if (is_last)
            printf ("complete %s\n", message.value);
        else
        if (!*message.value || strncmp (message.key, subtree, strlen (subtree)))
            exit (3);
        else
            printf ("sync %s %s\n", message.key, message.value);
        s_forget (&message);
        if (is_last)
            return message.sequence;
    }
    exit (1);
}

static int s_watch (char *argv [])
{
    zsock_t *updates = zsock_new_sub (argv [1], argv [2]);
    zsock_set_subscribe (updates, "HUGZ");
    zsock_set_rcvtimeo (updates, 10000);
    zsock_t *snapshot = zsock_new_dealer (argv [0]);
    zsock_set_rcvtimeo (snapshot, 10000);
    uint64_t known = s_snapshot (snapshot, argv [2]), last = 0;
    kvmsg_t message;
    while (s_receive (updates, &message)) {
        if (streq (message.key, "HUGZ"))
            puts (message.sequence || *message.value ? "bad hugz" : "hugz");
        else {
            if (message.sequence <= last)
                exit (3);
            last = message.sequence;
            if (last > known && *message.value)
                printf ("set %s %s\n", message.key, message.value);
            if (last > known && !*message.value)
                printf ("delete %s\n", message.key);
        }
        s_forget (&message);
    }
    return 1; /* not even a HUGZ: the server is gone */
}

static int s_set (zsock_t *collector, char *argv [], const char *ttl)
{
    zsock_set_linger (collector, 5000);
    if (zsock_connect (collector, "%s", argv [0]))
        return 2;
    zclock_sleep (300); /* a PUB socket drops what it is told before its peer has subscribed */
    zuuid_t *uuid = zuuid_new ();
    zmsg_t *message = zmsg_new ();
    zmsg_addstr (message, argv [1]);
    zmsg_addmem (message, "\0\0\0\0\0\0\0\0", 8);
    zmsg_addmem (message, zuuid_data (uuid), 16);
    zmsg_addstrf (message, ttl ? "ttl=%s\n" : "%s", ttl ? ttl : "");
    zmsg_addstr (message, argv [2]);
    zmsg_send (&message, collector);
    zuuid_destroy (&uuid);
    zsock_destroy (&collector);
    return 0;
}

int main (int argc, char *argv [])
{
    setvbuf (stdout, NULL, _IOLBF, 0);
    if (argc == 5 && streq (argv [1], "watch"))
        return s_watch (argv + 2);
    if (argc < 5)
        return 2;
    return s_set (zsock_new (streq (argv [1], "pub") ? ZMQ_PUB : ZMQ_PUSH), argv + 2, argc > 5 ? argv [5] : NULL);
}
