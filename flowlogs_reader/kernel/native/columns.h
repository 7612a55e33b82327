/* Columns of lines, as lists of bytes objects. */

#pragma once

#include "base.h"
#include "bits.h"
#include "compile_tests.h"
#include "lines.h"
#include "memory.h"
#include "places.h"
#include "selection.h"
#include "tests.h"

/* Columns of records on their way to Python: a list of bytes objects for each. */
typedef struct {
    Places *places;   /* of each column */
    PyObject **lists;
    Text *last;       /* the last value of each list */
    size_t count;
    Buffer joined;
} Columns;

static bool add_values(Columns *columns, const Line *line)
{
    for (size_t i = 0; i < columns->count; i++) {
        PyObject *list = columns->lists[i], *object;
        Text *last = &columns->last[i], value;
        if (values_at(&columns->places[i], line, &columns->joined, &value)) {
            PyErr_NoMemory();
            return false;
        }
        /* A value is often equal to that of the line before. */
        Py_ssize_t rows = PyList_Size(list);
        if (rows && same_text(*last, value)) {
            object = PyList_GetItem(list, rows - 1);
            Py_XINCREF(object);
        } else {
            object = new_bytes(value.text, value.size);
        }
        int failed = object ? PyList_Append(list, object) : -1;
        if (!failed) {
            *last = (Text){(const byte *)PyBytes_AsString(object), value.size};
        }
        Py_XDECREF(object);
        if (failed) {
            return false;
        }
    }
    return true;
}

/* The GIL is held: nearly all the time goes into bytes objects. */
static bool add_records(Columns *columns, Scan *scan, const Selector *selector)
{
    Line line;
    Outcome outcome;
    while ((outcome = next_line(scan, &line)) == FOUND) {
        if (passes(selector, &line) && !add_values(columns, &line)) {
            return false;
        }
    }
    if (outcome == OUT_OF_MEMORY) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

/* Makes a list of lists for columns with the places in a sequence: each is an int or a tuple. */
static PyObject *set_up_columns(PyObject *places, const Scan *scan, Pool *pool, Columns *columns)
{
    PyObject *given = PySequence_Tuple(places);
    PyObject *found = given ? PyList_New(0) : NULL;
    columns->count = given ? (size_t)PyTuple_Size(given) : 0;
    columns->places = found ? pool_get(pool, columns->count, sizeof(Places)) : NULL;
    columns->lists = columns->places ? pool_get(pool, columns->count, sizeof(PyObject *)) : NULL;
    columns->last = columns->lists ? pool_get(pool, columns->count, sizeof(Text)) : NULL;
    bool fine = columns->last != NULL;
    for (size_t i = 0; i < columns->count && fine; i++) {
        PyObject *item = PyTuple_GetItem(given, (Py_ssize_t)i);
        PyObject *tuple = PyTuple_Check(item) ? Py_NewRef(item) : PyTuple_Pack(1, item);
        PyObject *list = PyList_New(0);
        columns->lists[i] = list;
        fine = tuple && list && get_places(tuple, scan, "TIM", pool, &columns->places[i]) &&
               PyList_Append(found, list) == 0;
        Py_XDECREF(tuple);
        Py_XDECREF(list);
    }
    if (!fine) {
        Py_CLEAR(found);
    }
    Py_XDECREF(given);
    return found;
}

PyDoc_STRVAR(
    columns_doc,
    "columns(kinds, tests, window, places, data) -> (columns, skipped)\n\n"
    "Columns of the canonical lines that pass (see pure.columns).");

static PyObject *kernel_columns(PyObject *module, PyObject *args)
{
    PyObject *kinds, *tests, *window, *places, *data, *result = NULL, *found = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOO:columns", &kinds, &tests, &window, &places, &data)) {
        return NULL;
    }
    Scan *scan = scan_new(kinds, data);
    if (!scan) {
        return NULL;
    }
    Selector selector = {0};
    Columns columns = {0};
    if (get_selector(tests, window, scan, &selector) &&
        (found = set_up_columns(places, scan, &selector.pool, &columns)) && add_records(&columns, scan, &selector)) {
        result = with_skipped(Py_NewRef(found), scan);
    }
    Py_XDECREF(found);
    free_memory(columns.joined.at);
    pool_free(&selector.pool);
    scan_free(scan);
    return result;
}
