/* What a stranger can find who knows only the broker's address: discover <broker> <pattern>. MDP 0.1 from RFC 7; the verbs
   are `mmi.discovery`, `list_keys` and `get`, whose status is the last frame of the reply.
   Prints `<service> <device> <value>` for each device of each service that the pattern matches. */
#include <czmq.h>

/* The reply's body without its status; NULL unless that is 200. A NULL ends the request's frames. */
static zmsg_t *s_call (zsock_t *client, const char *service, const char *verb, const char *argument)
{
    zstr_sendx (client, "MDPC01", service, verb, argument, NULL);
    zmsg_t *reply = zmsg_recv (client);
    if (!reply)
        return NULL;
    char *header = zmsg_popstr (reply), *from = zmsg_popstr (reply);
    zframe_t *status = zmsg_last (reply);
    bool is_good = header && from && streq (header, "MDPC01") && streq (from, service) && status && zframe_streq (status, "200");
    if (is_good)
        zmsg_remove (reply, status), zframe_destroy (&status);
    else
        zmsg_destroy (&reply);
    free (header); free (from);
    return reply;
}

static bool s_show (zsock_t *client, const char *service, const char *device)
{
    zmsg_t *reply = s_call (client, service, "get", device);
    char *value = reply ? zmsg_popstr (reply) : NULL;
    printf ("%s %s %s\n", service, device, value ? value : "?");
    bool is_good = value != NULL;
    free (value);
    zmsg_destroy (&reply);
    return is_good;
}

int main (int argc, char *argv [])
{
    if (argc != 3)
        return 2;
    zsock_t *client = zsock_new_req (argv [1]);
    zsock_set_rcvtimeo (client, 10000);
    zmsg_t *services = s_call (client, "mmi.discovery", argv [2], NULL);
    if (!services)
        return 1;
    bool is_good = true;
    char *service;
    while ((service = zmsg_popstr (services))) {
        zmsg_t *keys = s_call (client, service, "list_keys", NULL);
        is_good = is_good && keys;
        char *names = keys ? zmsg_popstr (keys) : NULL, *rest = NULL;
        for (char *name = names ? strtok_r (names, "|", &rest) : NULL; name; name = strtok_r (NULL, "|", &rest))
            is_good = s_show (client, service, name) && is_good;
        free (names); free (service);
        zmsg_destroy (&keys);
    }
    zmsg_destroy (&services);
    zsock_destroy (&client);
    return is_good ? 0 : 1;
}
