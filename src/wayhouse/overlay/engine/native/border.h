/* What the files that speak with Python share: numbers and memory, checked. */

#ifndef WAYHOUSE_BORDER_H
#define WAYHOUSE_BORDER_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "batches.h"

#define CIPHER "wayhouse.cipher"
#define WANT(wanted, text)                           \
    if (count != (wanted)) {                         \
        PyErr_SetString(PyExc_TypeError, text);      \
        return NULL;                                 \
    }

PyObject *refuse(const char *what);
int numbers(PyObject *const *arguments, int count, int64_t *into);
int writable(PyObject *object, Py_buffer *view);
int both(PyObject *const *arguments, Py_buffer *memory, Py_buffer *table, int64_t rows);
int is_inside(const row_t *row, const Py_buffer *memory);

PyObject *read_many(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *seal(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *receive(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *alike(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *open_many(PyObject *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *deliver(PyObject *self, PyObject *const *arguments, Py_ssize_t count);

#endif
