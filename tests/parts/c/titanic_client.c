/* A client of Titanic written from RFC 7 and RFC 9 alone: titanic_client <broker> <service> <body>.
   Leaves a request, asks for its reply until it is there, closes it, and asks once more. Prints a line for each new status:
   `request 200`, `reply 300`, `reply 200 <body>`, `close 200`, `reply 400`. Ends with 1 if no reply comes within 30 s. */
#include <czmq.h>

/* The reply's body, which begins with a status; NULL if there is none. */
static zmsg_t *s_call (zsock_t *client, const char *service, zmsg_t **body)
{
    zmsg_pushstr (*body, service);
    zmsg_pushstr (*body, "MDPC01");
    zmsg_send (body, client);
    zmsg_t *reply = zmsg_recv (client);
    if (!reply)
        return NULL;
    char *header = zmsg_popstr (reply), *from = zmsg_popstr (reply);
    if (!header || !from || !streq (header, "MDPC01") || !streq (from, service))
        zmsg_destroy (&reply);
    free (header); free (from);
    return reply;
}

static zmsg_t *s_ask (zsock_t *client, const char *service, const char *uuid)
{
    zmsg_t *body = zmsg_new ();
    zmsg_addstr (body, uuid);
    return s_call (client, service, &body);
}

/* The first three digits; what else a server says in a status is for people. */
static int s_status (zmsg_t *reply)
{
    char *text = reply ? zmsg_popstr (reply) : NULL;
    int status = text && strlen (text) >= 3 ? atoi (text) : 0;
    free (text);
    return status;
}

int main (int argc, char *argv [])
{
    if (argc != 4)
        return 2;
    setvbuf (stdout, NULL, _IOLBF, 0);
    zsock_t *client = zsock_new_req (argv [1]);
    zsock_set_rcvtimeo (client, 10000);
    zmsg_t *body = zmsg_new ();
    zmsg_addstr (body, argv [2]);
    zmsg_addstr (body, argv [3]);
    zmsg_t *reply = s_call (client, "titanic.request", &body);
    printf ("request %d\n", s_status (reply));
    char *uuid = reply ? zmsg_popstr (reply) : NULL;
    if (!uuid)
        return 1;
    zmsg_destroy (&reply);
    int status = 0, before = 0;
    for (int tries = 0; tries < 600 && status != 200; tries++) {
        reply = s_ask (client, "titanic.reply", uuid);
        status = s_status (reply);
        char *text = reply && status == 200 ? zmsg_popstr (reply) : NULL;
        if (status != before)
            printf (text ? "reply %d %s\n" : "reply %d\n", status, text);
        before = status;
        free (text);
        zmsg_destroy (&reply);
        zclock_sleep (50);
    }
    reply = s_ask (client, "titanic.close", uuid);
    printf ("close %d\n", s_status (reply));
    zmsg_destroy (&reply);
    reply = s_ask (client, "titanic.reply", uuid);
    printf ("reply %d\n", s_status (reply));
    zmsg_destroy (&reply);
    free (uuid);
    zsock_destroy (&client);
    return status == 200 ? 0 : 1;
}
