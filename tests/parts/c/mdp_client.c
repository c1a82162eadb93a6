/* A client of MDP 0.1 written from RFC 7 alone: mdp_client <broker> <service> <count>; prints how many answers were right. */
#include <czmq.h>

int main (int argc, char *argv [])
{
    if (argc != 4)
        return 2;
    zsock_t *client = zsock_new_req (argv [1]);
    zsock_set_rcvtimeo (client, 10000);
    int count = atoi (argv [3]), right = 0;
    for (int number = 0; number < count; number++) {
        char text [32];
        snprintf (text, sizeof text, "request %d", number);
        zstr_sendx (client, "MDPC01", argv [2], text, NULL);
        zmsg_t *reply = zmsg_recv (client);
        if (!reply)
            break;
        char *header = zmsg_popstr (reply), *service = zmsg_popstr (reply), *body = zmsg_popstr (reply);
        if (header && service && body && streq (header, "MDPC01") && streq (service, argv [2]) && streq (body, text))
            right++;
        free (header); free (service); free (body);
        zmsg_destroy (&reply);
    }
    printf ("%d\n", right);
    zsock_destroy (&client);
    return right == count ? 0 : 1;
}
