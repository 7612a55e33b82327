/* The places of fields in a line, and the values there. */

#pragma once

#include "base.h"
#include "bits.h"
#include "lines.h"
#include "memory.h"

/* The places of several fields in a format: -1 for one that it does not have. */
typedef struct {
    int *at;
    size_t count;
    bool adjacent;  /* each is one more than the one before, and none is -1 */
} Places;

/* The values at some places with a space between two: in the line if possible, else written to `joined`. */
static Status values_at(const Places *places, const Line *line, Buffer *joined, Text *value)
{
    if (places->adjacent) {
        size_t begin = line->at[places->at[0]];
        *value = (Text){line->text + begin, line->at[places->at[places->count - 1] + 1] - begin - 1};
        return DONE;
    }
    if (places->count == 1) {
        *value = value_at(line, places->at[0]);
        return DONE;
    }
    joined->used = 0;
    for (size_t i = 0; i < places->count; i++) {
        Text part = value_at(line, places->at[i]);
        if (buffer_room(joined, part.size + 1)) {
            return NO_MEMORY;
        }
        buffer_put(joined, part.text, part.size);
        joined->at[joined->used++] = ' ';
    }
    *value = (Text){joined->at, joined->used ? joined->used - 1 : 0};
    return DONE;
}

/* The place of a field, whose kind must be one of the letters; -2 with an error set. */
static int get_place(PyObject *object, const Scan *scan, const char *allowed)
{
    long place = PyLong_AsLong(object);
    if (place == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Format(PyExc_ValueError, "%R is not a place in a format of %zu fields", object, scan->fields);
        }
        return -2;
    }
    if (place < -1 || place >= (long)scan->fields) {
        PyErr_Format(PyExc_ValueError, "%ld is not a place in a format of %zu fields", place, scan->fields);
        return -2;
    }
    if (place >= 0 && !strchr(allowed, scan->kinds[place])) {
        PyErr_Format(PyExc_ValueError, "the field at place %ld is not of the kind that is needed", place);
        return -2;
    }
    return (int)place;
}

/* The places in a tuple, for which a pool has memory. Returns false with an error set. */
static bool get_places(PyObject *tuple, const Scan *scan, const char *allowed, Pool *pool, Places *places)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "places must be a tuple");
        return false;
    }
    places->count = (size_t)PyTuple_Size(tuple);
    places->at = pool_get(pool, places->count, sizeof(int));
    places->adjacent = places->count > 0;
    for (size_t i = 0; places->at && i < places->count; i++) {
        places->at[i] = get_place(PyTuple_GetItem(tuple, (Py_ssize_t)i), scan, allowed);
        if (places->at[i] < -1) {
            return false;
        }
        places->adjacent = places->adjacent && places->at[i] >= 0 && places->at[i] == places->at[0] + (int)i;
    }
    return places->at != NULL;
}
