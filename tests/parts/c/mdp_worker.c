/* A worker of MDP 0.1 written from RFC 7 alone: mdp_worker <broker> <service> <count>; echoes so many requests, then disconnects. */
#include <czmq.h>

static void s_send (zsock_t *worker, char command, const char *service)
{
    zmsg_t *message = zmsg_new ();
    zmsg_addmem (message, "", 0);
    zmsg_addstr (message, "MDPW01");
    zmsg_addmem (message, &command, 1);
    if (service)
        zmsg_addstr (message, service);
    zmsg_send (&message, worker);
}

int main (int argc, char *argv [])
{
    if (argc != 4)
        return 2;
    zsock_t *worker = zsock_new_dealer (argv [1]);
    zsock_set_rcvtimeo (worker, 100);
    s_send (worker, 1, argv [2]);
    int left = atoi (argv [3]), silent = 0;
    while (left > 0 && silent < 100) {
        zmsg_t *message = zmsg_recv (worker);
        if (!message) {
            silent++;
            s_send (worker, 4, NULL);
            continue;
        }
        silent = 0;
        zframe_t *empty = zmsg_pop (message), *header = zmsg_pop (message), *command = zmsg_pop (message);
        if (zframe_size (empty) == 0 && zframe_streq (header, "MDPW01") && zframe_data (command) [0] == 2) {
            char reply = 3;
            zmsg_pushmem (message, &reply, 1); /* client address, empty frame and body stay as they came */
            zmsg_pushstr (message, "MDPW01");
            zmsg_pushmem (message, "", 0);
            zmsg_send (&message, worker);
            left--;
        }
        zframe_destroy (&empty); zframe_destroy (&header); zframe_destroy (&command);
        zmsg_destroy (&message);
    }
    s_send (worker, 5, NULL);
    zsock_destroy (&worker);
    return left;
}
