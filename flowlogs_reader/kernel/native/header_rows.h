/* Header rows: lines that begin with a letter. */

#pragma once

#include "base.h"
#include "memory.h"

static Status find_letters(const byte *data, size_t length, Buffer *found)
{
    for (size_t at = 0; at < length;) {
        if (UNLIKELY(data[at] >= 'a' && data[at] <= 'z')) {
            if (buffer_room(found, sizeof(at))) {
                return NO_MEMORY;
            }
            buffer_put(found, &at, sizeof(at));
        }
        const byte *newline = memchr(data + at, '\n', length - at);
        at = newline ? (size_t)(newline - data) + 1 : length;
    }
    return DONE;
}

PyDoc_STRVAR(
    letter_lines_doc,
    "letter_lines(data) -> tuple of int\n\n"
    "Where lines begin with a lower-case ASCII letter (see pure.letter_lines).");

static PyObject *kernel_letter_lines(PyObject *module, PyObject *data)
{
    (void)module;
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return NULL;
    }
    const byte *text = (const byte *)PyBytes_AsString(data);
    size_t length = (size_t)PyBytes_Size(data);
    Buffer found = {0};
    Status status;
    Py_BEGIN_ALLOW_THREADS
    status = find_letters(text, length, &found);
    Py_END_ALLOW_THREADS
    Py_ssize_t count = (Py_ssize_t)(found.used / sizeof(size_t));
    PyObject *result = status ? PyErr_NoMemory() : PyTuple_New(count);
    for (Py_ssize_t i = 0; result && i < count; i++) {
        PyObject *number = PyLong_FromSize_t(((size_t *)(void *)found.at)[i]);
        if (!number || PyTuple_SetItem(result, i, number)) {
            Py_CLEAR(result);
        }
    }
    free_memory(found.at);
    return result;
}
