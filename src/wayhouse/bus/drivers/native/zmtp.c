/* Messages from and to bytes of ZMTP: the compiled twin of `zmtp_pure.py`, part of the same extension as `frames.c`.

   Rules: nothing of `data` is read beyond its end; a length is compared before anything of its size is made; what is no ZMTP is an
   exception, as in the twin. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { MORE = 1, LONG = 2, COMMAND = 4, KNOWN = 7, MAX_FRAMES = 10000 };

static PyObject *malformed; /* the exception of the twin */

static PyObject *refuse(const char *text)
{
    PyErr_SetString(malformed, text);
    return NULL;
}

static PyObject *begin(PyObject *into, PyObject *identity) /* borrowed from `into` */
{
    PyObject *message = PyList_New(0);
    if (message == NULL || PyList_Append(message, identity) < 0 || PyList_Append(into, message) < 0) {
        Py_XDECREF(message);
        return NULL;
    }
    Py_DECREF(message);
    return message;
}

/* The bytes of all frames of a message; -1 with an exception for what is none. */
static Py_ssize_t size_of(PyObject *message)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t place = 0; place < PyList_Size(message); place++) {
        Py_ssize_t one = PyBytes_Size(PyList_GetItem(message, place));
        if (one < 0)
            return -1;
        size += one;
    }
    return size;
}

static int add(PyObject *message, const unsigned char *from, size_t length)
{
    PyObject *frame = PyBytes_FromStringAndSize((const char *)from, (Py_ssize_t)length);
    int failed = frame == NULL || PyList_Append(message, frame) < 0;
    Py_XDECREF(frame);
    return failed ? -1 : 0;
}

static PyObject *take_all(const unsigned char *data, size_t end, PyObject *into, size_t most)
{
    PyObject *message = PyList_GetItem(into, PyList_Size(into) - 1);
    Py_ssize_t known = size_of(message);
    if (known < 0)
        return NULL;
    PyObject *identity = PyList_GetItem(message, 0);
    if (identity == NULL)
        return NULL;
    size_t own = (size_t)PyBytes_Size(identity), size = (size_t)known, at = 0;
    while (end - at >= 2) {
        unsigned flags = data[at];
        size_t head = flags & LONG ? 9 : 2;
        if (end - at < head)
            return Py_BuildValue("(nn)", (Py_ssize_t)at, (Py_ssize_t)9);
        uint64_t length = data[at + 1];
        if (flags & LONG)
            for (int place = 2; place < 9; place++)
                length = length << 8 | data[at + place];
        if (flags > KNOWN || length > most || size + length > most || PyList_Size(message) > MAX_FRAMES)
            return refuse("This is no frame of ZMTP, or a message that is too large.");
        size += length;
        if (end - at - head < length)
            return Py_BuildValue("(nn)", (Py_ssize_t)at, (Py_ssize_t)(head + length));
        const unsigned char *body = data + at + head;
        at += head + length;
        if (!(flags & COMMAND)) {
            if (add(message, body, length) < 0)
                return NULL;
            if (!(flags & MORE)) {
                if ((message = begin(into, identity)) == NULL)
                    return NULL;
                size = own;
            }
        } else if (flags & MORE || PyList_Size(message) > 1) {
            return refuse("A command of ZMTP is alone, between messages.");
        } else {
            PyObject *command = PyBytes_FromStringAndSize((const char *)body, (Py_ssize_t)length);
            if (command == NULL || PyList_Insert(into, PyList_Size(into) - 1, command) < 0) {
                Py_XDECREF(command);
                return NULL;
            }
            Py_DECREF(command);
            size = own;
        }
    }
    return Py_BuildValue("(nn)", (Py_ssize_t)at, (Py_ssize_t)2);
}

/* decode(data, into, max_bytes) -> (taken, wanted) */
PyObject *wayhouse_decode(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    if (count != 3 || !PyList_Check(arguments[1]) || PyList_Size(arguments[1]) < 1 ||
        !PyList_Check(PyList_GetItem(arguments[1], PyList_Size(arguments[1]) - 1))) {
        PyErr_SetString(PyExc_TypeError, "decode(data, into: list that ends with a list, max_bytes)");
        return NULL;
    }
    Py_ssize_t most = PyLong_AsSsize_t(arguments[2]);
    Py_buffer view;
    if (PyErr_Occurred() || PyObject_GetBuffer(arguments[0], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = take_all(view.buf, (size_t)view.len, arguments[1], most < 0 ? 0 : (size_t)most);
    PyBuffer_Release(&view);
    return result;
}

/* encode(message, start) -> bytes */
PyObject *wayhouse_encode(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    if (count != 2 || !PyList_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "encode(message: list, start)");
        return NULL;
    }
    PyObject *message = arguments[0];
    Py_ssize_t start = PyLong_AsSsize_t(arguments[1]), frames = PyList_Size(message), total = 0;
    if (PyErr_Occurred())
        return NULL;
    if (start < 0) {
        PyErr_SetString(PyExc_IndexError, "a message begins at 0 or later");
        return NULL;
    }
    for (Py_ssize_t place = start; place < frames; place++) {
        Py_ssize_t length = PyBytes_Size(PyList_GetItem(message, place));
        if (length < 0)
            return NULL;
        total += length + (length < 256 ? 2 : 9);
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, total);
    if (made == NULL)
        return NULL;
    char *out = PyBytes_AsString(made);
    for (Py_ssize_t place = start; place < frames; place++) {
        PyObject *frame = PyList_GetItem(message, place);
        uint64_t length = (uint64_t)PyBytes_Size(frame);
        char flags = place + 1 < frames ? MORE : 0;
        if (length < 256) {
            *out++ = flags;
            *out++ = (char)length;
        } else {
            *out++ = (char)(flags | LONG);
            for (int shift = 56; shift >= 0; shift -= 8)
                *out++ = (char)(length >> shift);
        }
        memcpy(out, PyBytes_AsString(frame), length);
        out += length;
    }
    return made;
}

/* Who raises it is told once, by `connect`. */
void wayhouse_malformed(PyObject *exception)
{
    Py_INCREF(exception);
    Py_XDECREF(malformed);
    malformed = exception;
}
