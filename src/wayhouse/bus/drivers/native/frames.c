/* Whole multipart messages in and out of a ZeroMQ socket, many in one call: the compiled twin of `frames_pure.py`.

   Built by `make fast` (`python -m wayhouse.bus.drivers.frames_compiled`), used by `frames.py` when it is there and passes its test.
   Rules: it calls the very libzmq that pyzmq has loaded, found at run time, so no header of ZeroMQ is needed; no call waits, so the
   interpreter is kept meanwhile and nobody can close the socket; a message is looked at as a whole before its first frame is sent;
   what it does not understand is an exception, as in the twin. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>

#ifndef BUILD
#define BUILD "unknown"
#endif

/* As zmq.h has them since 4.0; the size and alignment of a message are part of libzmq's ABI. */
enum { NOW = 1, MORE = 2, EVENTS = 15, POLLIN = 1 };
typedef struct {
    _Alignas(void *) unsigned char bytes[64];
} message_t;

static struct {
    int (*init)(message_t *);
    int (*recv)(message_t *, void *, int);
    int (*close)(message_t *);
    int (*more)(const message_t *);
    void *(*data)(message_t *);
    size_t (*size)(const message_t *);
    int (*send)(void *, const void *, size_t, int);
    int (*getsockopt)(void *, int, void *, size_t *);
} zmq;
static PyObject *fail_with, *underlying;

/* Of zmtp.c, the other part of this extension. */
PyObject *wayhouse_decode(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *wayhouse_encode(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
void wayhouse_malformed(PyObject *exception);

static PyObject *fail(int error)
{
    PyObject *none = PyObject_CallFunction(fail_with, "i", error);
    if (none != NULL) {
        Py_DECREF(none);
        PyErr_SetString(PyExc_SystemError, "this was to raise an error");
    }
    return NULL;
}

/* The socket itself; NULL with an exception when it is closed or none. pyzmq knows best: it gives 0 once it has closed it. */
static void *handle_of(PyObject *socket)
{
    if (fail_with == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "connect() comes first");
        return NULL;
    }
    PyObject *address = PyObject_GetAttr(socket, underlying);
    if (address == NULL)
        return NULL;
    void *handle = PyLong_AsVoidPtr(address);
    Py_DECREF(address);
    if (handle == NULL && !PyErr_Occurred())
        fail(ENOTSOCK);
    return handle;
}

/* The next message into `message`, its bytes added to `size`: 0, an errno, or -1 with an exception. It is read to its end whatever
   happens, so that what follows begins with the first frame of the next. */
static int take(void *handle, PyObject **message, size_t *size)
{
    PyObject *frames = PyList_New(0);
    int more = 1;
    while (more) {
        message_t part;
        zmq.init(&part);
        int count;
        do
            count = zmq.recv(&part, handle, NOW);
        while (count < 0 && errno == EINTR);
        if (count < 0) {
            int error = errno;
            zmq.close(&part);
            if (frames == NULL)
                return -1;
            Py_DECREF(frames);
            return error;
        }
        more = zmq.more(&part);
        if (frames != NULL) {
            size_t length = zmq.size(&part);
            PyObject *frame = PyBytes_FromStringAndSize(zmq.data(&part), (Py_ssize_t)length);
            if (frame == NULL || PyList_Append(frames, frame) < 0)
                Py_CLEAR(frames);
            Py_XDECREF(frame);
            *size += length;
        }
        zmq.close(&part);
    }
    *message = frames;
    return frames == NULL ? -1 : 0;
}

/* receive_many(socket, into, most, most_bytes) -> whether the socket was found empty. */
static PyObject *receive_many(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    if (count != 4 || !PyList_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "receive_many(socket, into: list, most, most_bytes)");
        return NULL;
    }
    void *handle = handle_of(arguments[0]);
    Py_ssize_t most = PyLong_AsSsize_t(arguments[2]), most_bytes = PyLong_AsSsize_t(arguments[3]);
    if (handle == NULL || PyErr_Occurred())
        return NULL;
    size_t size = 0;
    for (Py_ssize_t taken = 0; taken < most && (Py_ssize_t)size < most_bytes; taken++) {
        PyObject *message = NULL;
        int error = take(handle, &message, &size);
        if (error == EAGAIN)
            Py_RETURN_TRUE;
        if (error > 0)
            return fail(error);
        if (error < 0 || PyList_Append(arguments[1], message) < 0) {
            Py_XDECREF(message);
            return NULL;
        }
        Py_DECREF(message);
    }
    Py_RETURN_FALSE;
}

static PyObject *frame_of(PyObject *message, Py_ssize_t place) /* borrowed */
{
    return PyList_Check(message) ? PyList_GetItem(message, place) : PyTuple_GetItem(message, place);
}

/* How many frames; -1 with an exception for what is no message. */
static Py_ssize_t check(PyObject *message)
{
    if (message == NULL)
        return -1;
    if (!PyList_Check(message) && !PyTuple_Check(message)) {
        PyErr_SetString(PyExc_TypeError, "a message is a list or a tuple of frames");
        return -1;
    }
    Py_ssize_t count = PyList_Check(message) ? PyList_Size(message) : PyTuple_Size(message);
    if (count == 0)
        PyErr_SetString(PyExc_IndexError, "a message has at least one frame");
    for (Py_ssize_t place = 0; place < count; place++)
        if (!PyObject_CheckBuffer(frame_of(message, place))) {
            PyErr_SetString(PyExc_TypeError, "a frame is bytes, or gives its own as a buffer");
            return -1;
        }
    return count == 0 ? -1 : count;
}

/* 0, an errno, or -1 with an exception. */
static int put_frame(void *handle, PyObject *frame, int flags)
{
    Py_buffer view;
    if (PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int sent;
    do
        sent = zmq.send(handle, view.buf, (size_t)view.len, flags);
    while (sent < 0 && errno == EINTR);
    int error = sent < 0 ? errno : 0;
    PyBuffer_Release(&view);
    return error;
}

static int put(void *handle, PyObject *message, Py_ssize_t count)
{
    int error = 0;
    for (Py_ssize_t place = 0; place < count && error == 0; place++)
        error = put_frame(handle, frame_of(message, place), place + 1 < count ? NOW | MORE : NOW);
    return error;
}

/* send_many(socket, messages, start) -> None when all from `start` on went, else (place, errno) of the first that did not: EAGAIN
   for a pipe that is full, EHOSTUNREACH for a peer that a mandatory ROUTER does not know. */
static PyObject *send_many(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    if (count != 3 || !PyList_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "send_many(socket, messages: list, start)");
        return NULL;
    }
    void *handle = handle_of(arguments[0]);
    Py_ssize_t place = PyLong_AsSsize_t(arguments[2]);
    if (handle == NULL || PyErr_Occurred())
        return NULL;
    for (; place < PyList_Size(arguments[1]); place++) {
        PyObject *message = PyList_GetItem(arguments[1], place);
        Py_ssize_t frames = check(message);
        if (frames < 0)
            return NULL;
        int error = put(handle, message, frames);
        if (error == EAGAIN || error == EHOSTUNREACH)
            return Py_BuildValue("(ni)", place, error);
        if (error > 0)
            return fail(error);
        if (error < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

/* is_readable(socket) -> whether a message is there. */
static PyObject *is_readable(PyObject *self, PyObject *socket)
{
    (void)self;
    void *handle = handle_of(socket);
    if (handle == NULL)
        return NULL;
    int events = 0, result;
    size_t size = sizeof events;
    do
        result = zmq.getsockopt(handle, EVENTS, &events, &size);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return fail(errno);
    return PyBool_FromLong(events & POLLIN);
}

/* connect(path, fail, malformed): find libzmq in the loaded library at `path`, or in one that it needs. `fail(errno)` raises pyzmq's
   error; `malformed` is the exception for what is no ZMTP. */
static PyObject *connect_to(PyObject *self, PyObject *arguments)
{
    (void)self;
    const char *path;
    PyObject *callable, *exception;
    if (!PyArg_ParseTuple(arguments, "sOO", &path, &callable, &exception))
        return NULL;
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (library == NULL)
        return PyErr_Format(PyExc_ImportError, "%s is not loaded", path);
    const struct { const char *name; void **place; } wanted[] = {
        {"zmq_msg_init", (void **)&zmq.init},   {"zmq_msg_recv", (void **)&zmq.recv},
        {"zmq_msg_close", (void **)&zmq.close}, {"zmq_msg_more", (void **)&zmq.more},
        {"zmq_msg_data", (void **)&zmq.data},   {"zmq_msg_size", (void **)&zmq.size},
        {"zmq_send", (void **)&zmq.send},       {"zmq_getsockopt", (void **)&zmq.getsockopt},
    };
    for (size_t place = 0; place < sizeof wanted / sizeof *wanted; place++)
        if ((*wanted[place].place = dlsym(library, wanted[place].name)) == NULL)
            return PyErr_Format(PyExc_ImportError, "there is no %s in %s", wanted[place].name, path);
    Py_XDECREF(fail_with);
    Py_INCREF(callable);
    fail_with = callable;
    wayhouse_malformed(exception);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"connect", connect_to, METH_VARARGS, NULL},
    {"receive_many", (PyCFunction)(void (*)(void))receive_many, METH_FASTCALL, NULL},
    {"send_many", (PyCFunction)(void (*)(void))send_many, METH_FASTCALL, NULL},
    {"is_readable", is_readable, METH_O, NULL},
    {"decode", (PyCFunction)(void (*)(void))wayhouse_decode, METH_FASTCALL, NULL},
    {"encode", (PyCFunction)(void (*)(void))wayhouse_encode, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_wayhouse_frames", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__wayhouse_frames(void)
{
    PyObject *module = PyModule_Create(&definition);
    underlying = PyUnicode_InternFromString("underlying");
    if (module == NULL || underlying == NULL || PyModule_AddStringConstant(module, "BUILD", BUILD) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
