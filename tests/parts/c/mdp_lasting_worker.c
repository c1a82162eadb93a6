/* A worker of MDP 0.1 written from RFC 7 alone: mdp_lasting_worker <broker> <service> <echo|hold>; serves until it is killed.
   It beats when it has nothing to do, and opens a new socket after a DISCONNECT. `hold` takes a request and never answers.
   Prints `ready` for each READY, `disconnected` for each DISCONNECT, and `request <body>`. */
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

static zsock_t *s_join (const char *broker, const char *service)
{
    zsock_t *worker = zsock_new_dealer (broker);
    zsock_set_rcvtimeo (worker, 100);
    s_send (worker, 1, service);
    puts ("ready");
    return worker;
}

static void s_work (zsock_t *worker, zmsg_t *message, bool holds)
{
    char *body = zframe_strdup (zmsg_last (message));
    printf ("request %s\n", body);
    free (body);
    while (holds)
        zclock_sleep (1000);
    char reply = 3;
    zmsg_pushmem (message, &reply, 1); /* client address, empty frame and body stay as they came */
    zmsg_pushstr (message, "MDPW01");
    zmsg_pushmem (message, "", 0);
    zmsg_t *answer = zmsg_dup (message);
    zmsg_send (&answer, worker);
}

int main (int argc, char *argv [])
{
    if (argc != 4)
        return 2;
    setvbuf (stdout, NULL, _IOLBF, 0);
    zsock_t *worker = s_join (argv [1], argv [2]);
    while (!zsys_interrupted) {
        zmsg_t *message = zmsg_recv (worker);
        if (!message) {
            s_send (worker, 4, NULL);
            continue;
        }
        zframe_t *empty = zmsg_pop (message), *header = zmsg_pop (message), *command = zmsg_pop (message);
        if (!empty || !header || !command || zframe_size (empty) != 0 || !zframe_streq (header, "MDPW01"))
            return 3;
        char what = zframe_data (command) [0];
        if (what == 2)
            s_work (worker, message, streq (argv [3], "hold"));
        if (what == 5) {
            puts ("disconnected");
            zsock_destroy (&worker);
            worker = s_join (argv [1], argv [2]);
        }
        zframe_destroy (&empty); zframe_destroy (&header); zframe_destroy (&command);
        zmsg_destroy (&message);
    }
    zsock_destroy (&worker);
    return 0;
}
