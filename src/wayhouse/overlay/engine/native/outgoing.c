/* From the TUN to datagrams: `read` and `seal`. */

#include "border.h"

#include <errno.h>
#include <unistd.h>

enum { ALIGNMENT = 16 };

/* Where the destination is, and how long; 0 for what is no IP packet. */
static int destination(const uint8_t *packet, uint32_t length, const uint8_t **at)
{
    if (length >= 20 && packet[0] >> 4 == 4) {
        *at = packet + 16;
        return 4;
    }
    *at = packet + 24;
    return length >= 40 && packet[0] >> 4 == 6 ? 16 : 0;
}

/* Packets that follow each other and go to the same address: [(first, number, destination or None)]. */
static PyObject *runs_of(const uint8_t *memory, const row_t *rows, int count)
{
    PyObject *runs = PyList_New(0);
    for (int first = 0, next; runs != NULL && first < count; first = next) {
        const uint8_t *here, *there;
        int size = destination(memory + rows[first].at, rows[first].length, &here);
        for (next = first + 1; next < count; next++)
            if (destination(memory + rows[next].at, rows[next].length, &there) != size || memcmp(here, there, (size_t)size) != 0)
                break;
        PyObject *run = Py_BuildValue("(iiy#)", first, next - first, size ? (const char *)here : NULL, (Py_ssize_t)size);
        if (run == NULL || PyList_Append(runs, run) < 0)
            Py_CLEAR(runs);
        Py_XDECREF(run);
    }
    return runs;
}

/* As many packets as there are and as fit, each behind its head; their number. `error` is the errno that ended it, or 0. */
static int read_rows(int fd, const Py_buffer *memory, row_t *rows, int64_t most, int *error)
{
    int count = 0;
    uint32_t used = 0;
    for (int64_t tries = 0; tries < most && (Py_ssize_t)used + ALIGNMENT + LARGEST <= memory->len; tries++) {
        ssize_t got = read(fd, (uint8_t *)memory->buf + used + ALIGNMENT - HEAD, HEAD + LARGEST);
        if (got < 0) {
            *error = errno;
            break;
        }
        if (got <= HEAD)
            continue;
        rows[count++] = (row_t){.at = used + ALIGNMENT, .length = (uint32_t)(got - HEAD)};
        used = (used + ALIGNMENT + (uint32_t)got - HEAD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return count;
}

/* read(fd, memory, table, most) -> (whether there may be more, runs): packets of the TUN, each with its head before it. */
PyObject *read_many(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(4, "read(fd, memory, table, most)")
    Py_buffer memory, table;
    int64_t fd, most;
    if (!numbers(arguments, 1, &fd) || !numbers(arguments + 3, 1, &most) || !both(arguments + 1, &memory, &table, most))
        return NULL;
    int error = 0;
    PyThreadState *state = PyEval_SaveThread();
    int read_count = read_rows((int)fd, &memory, table.buf, most, &error);
    PyEval_RestoreThread(state);
    PyObject *answer = NULL;
    if (error != 0 && error != EAGAIN && error != EINTR && read_count == 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        PyObject *runs = runs_of(memory.buf, table.buf, read_count);
        if (runs != NULL)
            answer = Py_BuildValue("(NN)", PyBool_FromLong(error != EAGAIN), runs);
    }
    PyBuffer_Release(&memory);
    PyBuffer_Release(&table);
    return answer;
}

/* A batch that is being made: datagrams of one size, the last one perhaps shorter. */
typedef struct {
    cipher_t *cipher;
    uint8_t *out;
    uint8_t header[8];
    uint64_t counter;
    uint32_t room, channel, mtu, stride, used, bytes, most;
    int datagrams, is_full, has_failed;
} batch_t;

static uint32_t padded(const batch_t *batch, uint32_t length)
{
    uint32_t up = (length + 15) / 16 * 16;
    up = up < batch->mtu ? up : batch->mtu;
    return length > up ? length : up;
}

/* Where the next packet of `length` bytes is to be put; NULL if it has to wait for another batch. */
static uint8_t *place_for(batch_t *batch, uint32_t length)
{
    uint32_t whole = batch->room + DATA_HEADER + padded(batch, length) + TAG;
    if (batch->datagrams == 0) {
        batch->stride = whole;
        batch->most = MOST_BYTES / (whole - batch->room + PREFIX);
        if (batch->most > MOST_SEGMENTS)
            batch->most = MOST_SEGMENTS;
    }
    if (batch->is_full || whole > batch->stride || (uint32_t)batch->datagrams >= batch->most)
        return NULL;
    return batch->out + batch->used + batch->room + DATA_HEADER;
}

/* Encrypt the packet that was put there. */
static void seal_one(batch_t *batch, uint8_t *text, uint32_t length)
{
    uint32_t size = padded(batch, length);
    memset(text + length, 0, size - length);
    uint8_t *header = text - DATA_HEADER;
    memcpy(header, batch->header, 8);
    put64_little(header + 8, batch->counter);
    if (batch->room) {
        put16(header - PREFIX, batch->channel);
        put16(header - PREFIX + 2, DATA_HEADER + size + TAG);
    }
    if (!cipher_seal(batch->cipher, batch->counter++, text, size)) {
        batch->has_failed = batch->is_full = 1;
        return;
    }
    uint32_t whole = batch->room + DATA_HEADER + size + TAG;
    batch->used += whole;
    batch->bytes += length;
    batch->datagrams++;
    batch->is_full = whole < batch->stride;
}

/* One packet of the TUN into the batch, from `*segment` on. 1: done with it, 0: there is more of it, -1: it is malformed or too large. */
static int add(batch_t *batch, uint8_t *packet, uint32_t length, uint32_t *segment)
{
    head_t head;
    memcpy(&head, packet - HEAD, HEAD);
    cutting_t cutting = {.count = 1};
    if (head.gso ? !cut_plan(&cutting, &head, packet, length) : *segment == 0 && head.flags & NEEDS_CSUM && !complete(packet, length, head.start, head.offset))
        return -1;
    uint32_t longest = head.gso ? cut_length(&cutting, 0) : length;
    if (padded(batch, longest) + DATA_HEADER + TAG + PREFIX > MOST_BYTES)
        return -1;
    for (; *segment < cutting.count; ++*segment) {
        uint32_t each = head.gso ? cut_length(&cutting, *segment) : length;
        uint8_t *text = place_for(batch, each);
        if (text == NULL) {
            if (!head.gso)
                memset(packet - HEAD, 0, 2); /* its checksum is complete now */
            return 0;
        }
        if (head.gso)
            cut_fill(&cutting, *segment, text);
        else
            memcpy(text, packet, length);
        seal_one(batch, text, each);
    }
    *segment = 0;
    return 1;
}

/* Rows from `*first` on, and the segments of the first of them from `*segment` on, until the batch is full; how many were malformed. */
static int fill(batch_t *batch, const Py_buffer *memory, const row_t *rows, int64_t *first, int64_t end, uint32_t *segment)
{
    int malformed = 0;
    for (; *first < end && !batch->is_full; ++*first) {
        const row_t *row = &rows[*first];
        int is_sound = row->at >= HEAD && row->length > 0 && is_inside(row, memory);
        int done = is_sound ? add(batch, (uint8_t *)memory->buf + row->at, row->length, segment) : -1;
        if (done == 0)
            break;
        if (done < 0)
            malformed++, *segment = 0;
    }
    return malformed;
}

/* seal(cipher, header, counter, memory, table, first, end, segment, out, channel, mtu) -> (bytes, stride, datagrams, bytes of the packets,
   next row, its next segment, malformed): one batch of what is in the rows, in `out`. `channel` 0 is none. */
PyObject *seal(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(11, "seal(cipher, header, counter, memory, table, first, end, segment, out, channel, mtu)")
    enum { FIRST, END, SEGMENT };
    int64_t place[3], more[2];
    char *header;
    Py_ssize_t length;
    Py_buffer memory, table, out;
    batch_t batch = {.cipher = PyCapsule_GetPointer(arguments[0], CIPHER), .counter = PyLong_AsUnsignedLongLong(arguments[2])};
    if (batch.cipher == NULL || PyErr_Occurred() || PyBytes_AsStringAndSize(arguments[1], &header, &length) < 0)
        return NULL;
    if (!numbers(arguments + 5, 3, place) || !numbers(arguments + 9, 2, more))
        return NULL;
    if (length != 8 || place[SEGMENT] > LARGEST || place[FIRST] > place[END] || more[0] > LARGEST || more[1] > LARGEST)
        return refuse("there is no such batch");
    memcpy(batch.header, header, 8);
    batch.channel = (uint32_t)more[0], batch.mtu = (uint32_t)more[1], batch.room = batch.channel ? PREFIX : 0;
    if (!both(arguments + 3, &memory, &table, place[END]))
        return NULL;
    PyObject *answer = NULL;
    if (!writable(arguments[8], &out))
        goto end_both;
    if (out.len < 1 << 17) {
        refuse("there is too little room for a batch");
        goto end_all;
    }
    batch.out = out.buf;
    uint32_t segment = (uint32_t)place[SEGMENT];
    PyThreadState *state = PyEval_SaveThread();
    int malformed = fill(&batch, &memory, table.buf, &place[FIRST], place[END], &segment);
    PyEval_RestoreThread(state);
    if (batch.has_failed)
        PyErr_SetString(PyExc_RuntimeError, "libcrypto does not encrypt");
    else
        answer = Py_BuildValue("(IIiIiIi)", batch.used, batch.stride, batch.datagrams, batch.bytes, (int)place[FIRST], segment, malformed);
end_all:
    PyBuffer_Release(&out);
end_both:
    PyBuffer_Release(&memory);
    PyBuffer_Release(&table);
    return answer;
}
