/* The work of the engine on whole batches, for `fast_outgoing.py` and `fast_incoming.py`: reading, cutting, encrypting, decrypting, joining
   and writing, without the interpreter and without its lock. Which key, which way, which peer and whether a counter is new is asked there.

   Built by `make fast`, used when it is there and passes its test (`native_part.py`). Rules: memory is the caller's bytearray, and every place
   in it is checked; a function is called from one thread at a time for one memory and one cipher; no call waits. */

#include "border.h"

#ifndef BUILD
#define BUILD "unknown"
#endif
#define FASTCALL(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

PyObject *refuse(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return NULL;
}

/* `count` numbers, 0 to 2^40; whether they are that. */
int numbers(PyObject *const *arguments, int count, int64_t *into)
{
    for (int place = 0; place < count; place++) {
        into[place] = PyLong_AsLongLong(arguments[place]);
        if (into[place] == -1 && PyErr_Occurred())
            return 0;
        if (into[place] < 0 || into[place] > (int64_t)1 << 40) {
            refuse("a number is out of range");
            return 0;
        }
    }
    return 1;
}

int writable(PyObject *object, Py_buffer *view)
{
    return PyObject_GetBuffer(object, view, PyBUF_WRITABLE) == 0;
}

/* Memory and the table of the packets in it, which has at least `rows` rows; released if that is not so. */
int both(PyObject *const *arguments, Py_buffer *memory, Py_buffer *table, int64_t rows)
{
    if (!writable(arguments[0], memory))
        return 0;
    if (!writable(arguments[1], table)) {
        PyBuffer_Release(memory);
        return 0;
    }
    if (rows <= ROWS && table->len >= rows * (Py_ssize_t)sizeof(row_t) && (uintptr_t)table->buf % _Alignof(row_t) == 0 && memory->len < 1 << 30)
        return 1;
    PyBuffer_Release(memory);
    PyBuffer_Release(table);
    refuse("the table has no such rows");
    return 0;
}

int is_inside(const row_t *row, const Py_buffer *memory)
{
    return (int64_t)row->at + row->length <= memory->len;
}

static void free_cipher(PyObject *capsule)
{
    cipher_free(PyCapsule_GetPointer(capsule, CIPHER));
}

/* cipher(key, seals) */
static PyObject *make_cipher(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    (void)self;
    WANT(2, "cipher(key, seals)")
    char *key;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(arguments[0], &key, &length) < 0)
        return NULL;
    if (length != 32)
        return refuse("a key has 32 bytes");
    cipher_t *cipher = cipher_new((uint8_t *)key, PyObject_IsTrue(arguments[1]));
    if (cipher == NULL)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(cipher, CIPHER, free_cipher);
    if (capsule == NULL)
        cipher_free(cipher);
    return capsule;
}

/* connect(name): use the libcrypto of this name. */
static PyObject *connect_to(PyObject *self, PyObject *arguments)
{
    (void)self;
    const char *name;
    if (!PyArg_ParseTuple(arguments, "s", &name))
        return NULL;
    const char *missing = cipher_connect(name);
    return missing == NULL ? Py_NewRef(Py_None) : PyErr_Format(PyExc_ImportError, "there is no %s", missing);
}

static PyMethodDef methods[] = {
    {"connect", connect_to, METH_VARARGS, NULL},
    {"cipher", FASTCALL(make_cipher), NULL},
    {"read", FASTCALL(read_many), NULL},
    {"seal", FASTCALL(seal), NULL},
    {"receive", FASTCALL(receive), NULL},
    {"alike", FASTCALL(alike), NULL},
    {"open", FASTCALL(open_many), NULL},
    {"deliver", FASTCALL(deliver), NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_wayhouse_engine", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__wayhouse_engine(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddStringConstant(module, "BUILD", BUILD) < 0)
        Py_CLEAR(module);
    return module;
}
