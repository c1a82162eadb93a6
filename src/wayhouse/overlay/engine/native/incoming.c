/* From a socket to the TUN: `receive`, `alike`, `open` and `deliver`. */

#include "border.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { CONTROL = 64, TRAINS = 64, UDP_GRO = 104, SOL_UDP_ = 17 };

/* Datagrams of one size from one address, behind each other in memory; the last one may be shorter. */
typedef struct {
    uint32_t begin, bytes, size;
    socklen_t name_length;
    struct sockaddr_storage name;
} train_t;

/* The next datagrams of the socket at `at`: their bytes, or -errno. `size` is of each. */
static ssize_t receive_one(int fd, uint8_t *at, train_t *train)
{
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    struct iovec vector = {.iov_base = at, .iov_len = LARGEST};
    struct msghdr message = {
        .msg_name = &train->name, .msg_namelen = sizeof train->name, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control,
    };
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    train->bytes = train->size = (uint32_t)got;
    train->name_length = message.msg_namelen <= sizeof train->name ? message.msg_namelen : sizeof train->name;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part))
        if (part->cmsg_level == SOL_UDP_ && part->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(part), sizeof size);
            if (size > 0 && size < got)
                train->size = (uint32_t)size;
        }
    return got;
}

/* Whether `train` goes on with `next`, which lies behind it. */
static int goes_on(const train_t *train, const train_t *next)
{
    return train->name_length == next->name_length && memcmp(&train->name, &next->name, next->name_length) == 0 && train->bytes % train->size == 0 &&
           (next->size == train->size || (next->size < train->size && next->bytes == next->size));
}

/* About `most` datagrams of the socket, behind each other; the number of trains. `*is_empty` if there are no more. */
static int receive_trains(int fd, const Py_buffer *memory, int64_t most, train_t *trains, int *is_empty)
{
    int number = 0;
    uint32_t used = 0;
    for (int64_t taken = 0; taken < most && number < TRAINS && (Py_ssize_t)used + LARGEST <= memory->len;) {
        train_t *train = &trains[number];
        ssize_t got = receive_one(fd, (uint8_t *)memory->buf + used, train);
        if (got == -EAGAIN || got == -EBADF) {
            *is_empty = 1;
            break;
        }
        taken += got > 0 ? (got + train->size - 1) / train->size : 1; /* what failed tells of an ICMP error */
        if (got <= 0)
            continue;
        train->begin = used;
        used += (uint32_t)got;
        if (number > 0 && goes_on(train - 1, train))
            train[-1].bytes += (uint32_t)got;
        else
            number++;
    }
    return number;
}

/* receive(fd, memory, most) -> (whether there may be more, [(begin, bytes, size, sockaddr)]): about `most` datagrams. */
PyObject *receive(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(3, "receive(fd, memory, most)")
    int64_t fd, most;
    Py_buffer memory;
    if (!numbers(arguments, 1, &fd) || !numbers(arguments + 2, 1, &most) || !writable(arguments[1], &memory))
        return NULL;
    train_t trains[TRAINS];
    int is_empty = 0;
    PyThreadState *state = PyEval_SaveThread();
    int number = receive_trains((int)fd, &memory, most, trains, &is_empty);
    PyEval_RestoreThread(state);
    PyBuffer_Release(&memory);
    PyObject *found = PyList_New(0);
    for (int place = 0; found != NULL && place < number; place++) {
        train_t *train = &trains[place];
        PyObject *item = Py_BuildValue("(IIIy#)", train->begin, train->bytes, train->size, (char *)&train->name, (Py_ssize_t)train->name_length);
        if (item == NULL || PyList_Append(found, item) < 0)
            Py_CLEAR(found);
        Py_XDECREF(item);
    }
    return found == NULL ? NULL : Py_BuildValue("(NN)", PyBool_FromLong(!is_empty), found);
}

/* alike(memory, at, stride, number, length) -> whether `length` bytes are the same at `at` and `stride` bytes further, so many times. */
PyObject *alike(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(5, "alike(memory, at, stride, number, length)")
    enum { AT, STRIDE, NUMBER, LENGTH };
    int64_t place[4];
    Py_buffer memory;
    if (!numbers(arguments + 1, 4, place) || !writable(arguments[0], &memory))
        return NULL;
    const uint8_t *first = (uint8_t *)memory.buf + place[AT];
    int is_inside_it = place[NUMBER] > 0 && place[NUMBER] <= memory.len && place[STRIDE] <= memory.len &&
                       place[AT] + (place[NUMBER] - 1) * place[STRIDE] + place[LENGTH] <= memory.len;
    int is_same = is_inside_it;
    for (int64_t number = 1; is_same && number < place[NUMBER]; number++)
        is_same = memcmp(first, first + number * place[STRIDE], (size_t)place[LENGTH]) == 0;
    PyBuffer_Release(&memory);
    return is_inside_it ? PyBool_FromLong(is_same) : refuse("that is not in the memory");
}

/* What came of data messages that were opened; `seen` are their counters, `NEVER` for what was not authentic. */
typedef struct {
    uint64_t seen[ROWS];
    int authentic, has_packet, is_row;
} opened_t;
enum { AT, STRIDE, NUMBER, LENGTH, LAST, ROW, OWNER, PLACES };
static const uint64_t NEVER = UINT64_MAX;

static void open_rows(opened_t *opened, cipher_t *cipher, uint8_t *memory, row_t *rows, const int64_t *place, const uint8_t *ends)
{
    opened->authentic = opened->has_packet = 0;
    opened->is_row = 1;
    for (int64_t n = 0; n < place[NUMBER]; n++) {
        uint32_t at = (uint32_t)(place[AT] + n * place[STRIDE] + DATA_HEADER);
        uint32_t size = (uint32_t)((n == place[NUMBER] - 1 ? place[LAST] : place[LENGTH]) - DATA_HEADER - TAG);
        uint64_t counter = get64_little(memory + at - 8);
        int is_good = cipher_open(cipher, counter, memory + at, size);
        rows[n] = (row_t){.at = at, .length = is_good ? size : 0, .owner = (uint32_t)place[OWNER]};
        if (is_good && ends != NULL)
            readdress(memory + at, size, ends);
        opened->seen[n] = is_good ? counter : NEVER;
        opened->authentic += is_good;
        opened->has_packet |= is_good && size > 0;
        opened->is_row &= is_good && counter == opened->seen[0] + (uint64_t)n;
    }
}

static PyObject *counters_of(const opened_t *opened, int64_t number)
{
    if (opened->is_row)
        return PyLong_FromUnsignedLongLong(opened->seen[0]);
    PyObject *counters = PyList_New(number);
    for (int64_t n = 0; counters != NULL && n < number; n++) {
        PyObject *one = opened->seen[n] == NEVER ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(opened->seen[n]);
        if (one == NULL || PyList_SetItem(counters, n, one) < 0)
            Py_CLEAR(counters);
    }
    return counters;
}

/* open(cipher, memory, table, at, stride, number, length, last, first row, owner, ends) -> (how many were authentic, whether any has a packet,
   the first counter if they all were and count on, else a list of counters with None for what was not). Data messages of `length` bytes, the last
   one of `last`, are decrypted where they are. `ends` are 8 bytes, the addresses that IPv4 packets get, or None. */
PyObject *open_many(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(11, "open(cipher, memory, table, at, stride, number, length, last, row, owner, ends)")
    int64_t place[PLACES];
    char *ends = NULL;
    Py_ssize_t ends_length = 8;
    Py_buffer memory, table;
    cipher_t *cipher = PyCapsule_GetPointer(arguments[0], CIPHER);
    if (cipher == NULL || !numbers(arguments + 3, PLACES, place))
        return NULL;
    if (arguments[10] != Py_None && PyBytes_AsStringAndSize(arguments[10], &ends, &ends_length) < 0)
        return NULL;
    const int64_t number = place[NUMBER], least = DATA_HEADER + TAG;
    if (number < 1 || number > ROWS || place[ROW] > ROWS || place[LENGTH] < least || place[LAST] < least || ends_length != 8 || place[OWNER] > LARGEST ||
        place[STRIDE] > 1 << 20 || place[LENGTH] > 1 << 20 || place[LAST] > 1 << 20)
        return refuse("there are no such datagrams");
    if (!both(arguments + 1, &memory, &table, place[ROW] + number))
        return NULL;
    PyObject *answer = NULL;
    int64_t before_last = number > 1 ? place[AT] + (number - 2) * place[STRIDE] + place[LENGTH] : 0;
    if (before_last > memory.len || place[AT] + (number - 1) * place[STRIDE] + place[LAST] > memory.len) {
        refuse("that is not in the memory");
        goto end;
    }
    opened_t opened;
    PyThreadState *state = PyEval_SaveThread();
    open_rows(&opened, cipher, memory.buf, (row_t *)table.buf + place[ROW], place, (uint8_t *)ends);
    PyEval_RestoreThread(state);
    PyObject *counters = counters_of(&opened, number);
    if (counters != NULL)
        answer = Py_BuildValue("(iNN)", opened.authentic, PyBool_FromLong(opened.has_packet), counters);
end:
    PyBuffer_Release(&memory);
    PyBuffer_Release(&table);
    return answer;
}

/* Whether the source of each group is its owner's, in `allowed`. 0 with an exception. */
static int check_sources(const joined_t *joined, const uint8_t *memory, const row_t *rows, PyObject *routes, PyObject *owners, uint8_t *allowed)
{
    const uint8_t *before = NULL;
    for (int place = 0; place < joined->count; place++) {
        const group_t *group = &joined->groups[place];
        const uint8_t *packet = memory + rows[group->first].at;
        int size = packet[0] >> 4 == 4 ? 4 : 16;
        const uint8_t *source = packet + (size == 4 ? 12 : 8);
        const group_t *last = place ? group - 1 : NULL;
        if (last != NULL && last->owner == group->owner && before[0] >> 4 == packet[0] >> 4 && memcmp(source, before + (size == 4 ? 12 : 8), (size_t)size) == 0) {
            allowed[place] = allowed[place - 1];
        } else {
            PyObject *owner = PyList_GetItem(owners, (Py_ssize_t)group->owner), *found = NULL;
            PyObject *address = owner == NULL ? NULL : PyBytes_FromStringAndSize((char *)source, size);
            if (address != NULL)
                found = PyObject_GetItem(routes, address);
            Py_XDECREF(address);
            if (found == NULL)
                return 0;
            allowed[place] = found == owner;
            Py_DECREF(found);
        }
        before = packet;
    }
    return 1;
}

/* 0, or an errno. */
static int write_group(int fd, const joined_t *joined, const group_t *group, const uint8_t *memory, const row_t *rows)
{
    struct iovec vectors[ROWS + 2];
    uint8_t head[HEAD], header[128];
    const uint8_t *lead = memory + rows[group->first].at;
    int count = 1;
    if (group->packets == 1) {
        static const head_t checked = {.flags = DATA_VALID};
        memcpy(head, &checked, HEAD);
        vectors[count++] = (struct iovec){(void *)(uintptr_t)lead, group->total};
    } else {
        join_head(group, lead, head, header);
        vectors[count++] = (struct iovec){header, group->header};
        for (int row = group->first, left = group->packets; left > 0; left--, row = joined->next[row])
            vectors[count++] = (struct iovec){(void *)(uintptr_t)(memory + rows[row].at + group->header), left == 1 ? group->last_size : group->size};
    }
    vectors[0] = (struct iovec){head, HEAD};
    return writev(fd, vectors, count) < 0 ? errno : 0;
}

/* [(owner, packets, bytes, whether the source was its own)]; groups of one owner that follow each other are told together. */
static PyObject *told_of(const joined_t *joined, const uint8_t *allowed)
{
    PyObject *told = PyList_New(0);
    for (int place = 0; told != NULL && place < joined->count; place++) {
        const group_t *group = &joined->groups[place];
        uint32_t owner = group->owner, packets = group->packets, bytes = group->bytes;
        for (; place + 1 < joined->count && joined->groups[place + 1].owner == owner && allowed[place + 1] == allowed[place]; place++) {
            packets += joined->groups[place + 1].packets;
            bytes += joined->groups[place + 1].bytes;
        }
        PyObject *item = Py_BuildValue("(IIIi)", owner, packets, bytes, (int)allowed[place]);
        if (item == NULL || PyList_Append(told, item) < 0)
            Py_CLEAR(told);
        Py_XDECREF(item);
    }
    return told;
}

/* deliver(fd, memory, table, number, routes, owners, has_uso) -> ([(owner, packets, bytes, whether the source was its own)], writes that failed because
   the interface is down, for other reasons, the errno of an interface that is gone or 0): join what the first rows hold, and write it to the TUN.
   `owners` are the peers that the rows' owners stand for. */
PyObject *deliver(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(7, "deliver(fd, memory, table, number, routes, owners, has_uso)")
    int64_t fd, number;
    Py_buffer memory, table;
    int has_uso = PyObject_IsTrue(arguments[6]);
    if (!PyList_Check(arguments[5]))
        return refuse("the owners are a list");
    if (has_uso < 0 || !numbers(arguments, 1, &fd) || !numbers(arguments + 3, 1, &number) || !both(arguments + 1, &memory, &table, number))
        return NULL;
    const row_t *rows = table.buf;
    joined_t joined;
    uint8_t allowed[ROWS];
    int down = 0, failed = 0, gone = 0, is_sound = 1;
    PyObject *answer = NULL;
    for (int64_t row = 0; row < number; row++)
        is_sound &= is_inside(&rows[row], &memory);
    if (!is_sound) {
        refuse("that is not in the memory");
        goto end;
    }
    PyThreadState *state = PyEval_SaveThread();
    join(&joined, memory.buf, rows, (int)number, has_uso);
    PyEval_RestoreThread(state);
    if (!check_sources(&joined, memory.buf, rows, arguments[4], arguments[5], allowed))
        goto end;
    state = PyEval_SaveThread();
    for (int place = 0; place < joined.count && !gone; place++) {
        int error = allowed[place] ? write_group((int)fd, &joined, &joined.groups[place], memory.buf, rows) : 0;
        gone = error == EBADF || error == EBADFD ? error : 0;
        down += error == EIO;
        failed += error != 0 && error != EIO && !gone;
    }
    PyEval_RestoreThread(state);
    PyObject *good = told_of(&joined, allowed);
    if (good != NULL)
        answer = Py_BuildValue("(Niii)", good, down, failed, gone);
end:
    PyBuffer_Release(&memory);
    PyBuffer_Release(&table);
    return answer;
}
