/* Adding lines to a table. */

#pragma once

#include "base.h"
#include "bits.h"
#include "compile_tests.h"
#include "keys.h"
#include "lines.h"
#include "memory.h"
#include "places.h"
#include "table.h"
#include "tests.h"

typedef struct {
    int packets, octets, start, end, status;
    int flows;  /* -1 if a line is one flow */
    Places *alternatives;
    size_t n_alternatives;
    size_t kept;
} Adding;

static bool is_flow(const Adding *adding, const Line *line)
{
    if (adding->packets < 0 && adding->octets < 0) {
        static const byte nodata[] = "NODATA", skipdata[] = "SKIPDATA";
        Text status = value_at(line, adding->status);
        return !same_text(status, (Text){nodata, 6}) && !same_text(status, (Text){skipdata, 8});
    }
    return !is_missing(value_at(line, adding->packets)) || !is_missing(value_at(line, adding->octets));
}

INLINE uint64_t number_at(const Line *line, int place, bool wanted)
{
    if (!wanted || place < 0) {
        return 0;
    }
    Text value = value_at(line, place);
    return is_missing(value) ? 0 : number_of(value, line->limit);
}

INLINE uint32_t time_at(const Line *line, int place, bool wanted, uint32_t missing, uint32_t more)
{
    if (!wanted || place < 0) {
        return missing;
    }
    Text value = value_at(line, place);
    return is_missing(value) ? missing : (uint32_t)number_of(value, line->limit) + more;
}

/* Records are added to the table in batches. Keys are in the data if possible, else they are written to `made`, which
   does not move while rows point into it. */
typedef struct {
    Row rows[BATCH];
    size_t count;
    Buffer made;
    Buffer key;
} Waiting;

static Status add_waiting(Sums *sums, Waiting *waiting)
{
    Status status = add_rows(sums, waiting->rows, waiting->count);
    waiting->count = 0;
    waiting->made.used = 0;
    return status;
}

/* The key of one alternative, in the data or in `made`. */
static Status make_key(
    Sums *sums, Waiting *waiting, const Places *places, const Line *line, Text *key, Released *released)
{
    if (sums->plain && line->as_given && places->adjacent) {
        return values_at(places, line, NULL, key);
    }
    waiting->key.used = 0;
    Status status = put_key(sums, places->at, line, &waiting->key, released);
    if (status) {
        return status;
    }
    size_t size = waiting->key.used;
    if (size > waiting->made.size - waiting->made.used) {
        status = add_waiting(sums, waiting);
        if (status || (size > waiting->made.size && (status = buffer_room(&waiting->made, size)))) {
            return status;
        }
    }
    *key = (Text){waiting->made.at + waiting->made.used, size};
    if (size) {
        buffer_put(&waiting->made, waiting->key.at, size);
    }
    return DONE;
}

static Status add_line(Sums *sums, Adding *adding, Waiting *waiting, const Line *line, Released *released)
{
    Row row;
    row.flows = adding->flows < 0 ? 1 : number_at(line, adding->flows, true);
    row.packets = number_at(line, adding->packets, sums->packets);
    row.octets = number_at(line, adding->octets, sums->octets);
    row.start = time_at(line, adding->start, sums->start, NO_START, 0);
    row.end_after = time_at(line, adding->end, sums->end, 0, 1);
    for (size_t i = 0; i < adding->n_alternatives; i++) {
        Text key;
        if (waiting->count == BATCH) {
            Status status = add_waiting(sums, waiting);
            if (status) {
                return status;
            }
        }
        Status status = make_key(sums, waiting, &adding->alternatives[i], line, &key, released);
        if (status) {
            return status;
        }
        row.key = key.text;
        row.size = key.size;
        row.hash = hash_text(key.text, key.size, sums->seed);
        waiting->rows[waiting->count++] = row;
    }
    return DONE;
}

static Status add_lines(
    Sums *sums, Scan *scan, const Selector *selector, Adding *adding, Waiting *waiting, Released *released)
{
    Line line;
    Outcome outcome;
    Status status = buffer_room(&waiting->made, KEY_ROOM);
    while (!status && (outcome = next_line(scan, &line)) != CUT) {
        if (outcome == OUT_OF_MEMORY) {
            return NO_MEMORY;
        }
        if ((selector->n_tests || selector->windowed) && !passes(selector, &line)) {
            continue;
        }
        adding->kept++;
        if (!sums->flows_only || is_flow(adding, &line)) {
            status = add_line(sums, adding, waiting, &line, released);
        }
    }
    return status ? status : add_waiting(sums, waiting);
}

/* Marks a table as in use. Raises RuntimeError if it is in use already: only one thread may use it at a time. */
static bool begin_use(Sums *sums)
{
    if (sums->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this table");
        return false;
    }
    sums->busy = true;
    return true;
}

static bool get_alternatives(PyObject *tuple, Sums *sums, const Scan *scan, Pool *pool, Adding *adding)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "alternatives must be a tuple of tuples of places");
        return false;
    }
    adding->n_alternatives = (size_t)PyTuple_Size(tuple);
    adding->alternatives = pool_get(pool, adding->n_alternatives, sizeof(Places));
    for (size_t i = 0; adding->alternatives && i < adding->n_alternatives; i++) {
        Places *places = &adding->alternatives[i];
        if (!get_places(PyTuple_GetItem(tuple, (Py_ssize_t)i), scan, "TIM", pool, places)) {
            return false;
        }
        if (places->count != sums->n_keys) {
            PyErr_Format(PyExc_ValueError, "%zu keys cannot be made of %zu places", sums->n_keys, places->count);
            return false;
        }
        for (size_t j = 0; j < places->count; j++) {
            if (sums->keys[j].kind == BUCKET && places->at[j] >= 0 && scan->kinds[places->at[j]] == 'T') {
                PyErr_SetString(PyExc_ValueError, "a bucket cannot be made of text");
                return false;
            }
        }
    }
    return adding->alternatives != NULL;
}

static bool get_sums(PyObject *tuple, const Scan *scan, Adding *adding)
{
    static const char allowed[5][4] = {"IM", "IM", "M", "M", "TIM"};
    int *into[5] = {&adding->packets, &adding->octets, &adding->start, &adding->end, &adding->status};
    PyObject *places[5];
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "the places of sums must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(tuple, "OOOOO", &places[0], &places[1], &places[2], &places[3], &places[4])) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        *into[i] = get_place(places[i], scan, allowed[i]);
        if (*into[i] < -1) {
            return false;
        }
    }
    return true;
}

PyDoc_STRVAR(
    sums_add_doc,
    "add(kinds, tests, window, alternatives, sums, data) -> (kept, skipped)\n\n"
    "Adds the records that pass (see pure.Sums.add).");

static PyObject *sums_add(PyObject *self, PyObject *args)
{
    Sums *sums = (Sums *)self;
    PyObject *kinds, *tests, *window, *alternatives, *places, *data, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO:add", &kinds, &tests, &window, &alternatives, &places, &data) ||
        !begin_use(sums)) {
        return NULL;
    }
    Selector selector = {0};
    Adding adding = {.flows = -1};
    Waiting *waiting = NULL;
    Scan *scan = scan_new(kinds, data);
    if (scan && get_selector(tests, window, scan, &selector) && get_sums(places, scan, &adding) &&
        get_alternatives(alternatives, sums, scan, &selector.pool, &adding) &&
        (waiting = pool_get(&selector.pool, 1, sizeof(Waiting)))) {
        Released released = PyEval_SaveThread();
        Status status = add_lines(sums, scan, &selector, &adding, waiting, &released);
        PyEval_RestoreThread(released);
        if (status) {
            raise_status(status);
        } else {
            result = Py_BuildValue("(nn)", (Py_ssize_t)adding.kept, (Py_ssize_t)scan->skipped);
        }
    }
    if (waiting) {
        free_memory(waiting->made.at);
        free_memory(waiting->key.at);
    }
    pool_free(&selector.pool);
    scan_free(scan);
    sums->busy = false;
    return result;
}

/* Whether all data is lines as sums_lines writes them, each with packets, bytes and flows. */
static Status check_groups(Scan *scan, size_t n_keys, bool *sound)
{
    Line line;
    Outcome outcome;
    size_t size = 0;
    *sound = true;
    while (*sound && (outcome = next_line(scan, &line)) != CUT) {
        if (outcome == OUT_OF_MEMORY) {
            return NO_MEMORY;
        }
        Text packets = value_at(&line, (int)n_keys), octets = value_at(&line, (int)n_keys + 1);
        Text flows = value_at(&line, (int)n_keys + 4);
        size += line.size;
        *sound = line.as_given && !is_missing(packets) && !is_missing(octets) && !is_missing(flows) &&
                 number_of(flows, line.limit) > 0;
    }
    /* `size` does not count empty lines, which the scan passes over. */
    *sound = *sound && size == scan->length && !scan->skipped;
    return DONE;
}

/* The kinds of the values in a line of a table. */
static PyObject *kinds_of_groups(const Sums *sums)
{
    static const char counted[] = "IIMMI";
    PyObject *kinds = new_bytes(NULL, sums->n_keys + 5);
    if (kinds) {
        char *at = PyBytes_AsString(kinds);
        for (size_t i = 0; i < sums->n_keys; i++) {
            at[i] = sums->keys[i].kind == BUCKET ? 'I' : 'T';
        }
        memcpy(at + sums->n_keys, counted, 5);
    }
    return kinds;
}

static Status add_groups(Sums *sums, Scan *scan, Pool *pool, Released *released)
{
    const int n_keys = (int)sums->n_keys;
    /* The keys come first in a line. */
    Places keys = {pool_get(pool, sums->n_keys, sizeof(int)), sums->n_keys, sums->n_keys > 0};
    Waiting *waiting = keys.at ? pool_get(pool, 1, sizeof(Waiting)) : NULL;
    if (!waiting) {
        return RAISED;
    }
    for (int i = 0; i < n_keys; i++) {
        keys.at[i] = i;
    }
    Adding adding = {n_keys, n_keys + 1, n_keys + 2, n_keys + 3, -1, n_keys + 4, &keys, 1, 0};
    Selector everything = {0};
    *released = PyEval_SaveThread();
    Status status = add_lines(sums, scan, &everything, &adding, waiting, released);
    PyEval_RestoreThread(*released);
    free_memory(waiting->made.at);
    free_memory(waiting->key.at);
    return status;
}

PyDoc_STRVAR(
    sums_add_groups_doc,
    "add_groups(data)\n\nAdds sums that were made elsewhere (see pure.Sums.add_groups).");

static PyObject *sums_add_groups(PyObject *self, PyObject *data)
{
    Sums *sums = (Sums *)self;
    if (!begin_use(sums)) {
        return NULL;
    }
    PyObject *kinds = kinds_of_groups(sums);
    Scan *scan = kinds ? scan_new(kinds, data) : NULL;
    Scan *again = scan ? scan_new(kinds, data) : NULL;
    Pool pool = {0};
    Status status = RAISED;
    if (again) {
        bool sound = false;
        Released released = PyEval_SaveThread();
        status = check_groups(scan, sums->n_keys, &sound);
        PyEval_RestoreThread(released);
        if (!status && !sound) {
            PyErr_SetString(PyExc_ValueError, "these are not the lines of a table");
            status = RAISED;
        }
        if (!status) {
            status = add_groups(sums, again, &pool, &released);
        }
        if (status) {
            raise_status(status);
        }
    }
    pool_free(&pool);
    scan_free(again);
    scan_free(scan);
    Py_XDECREF(kinds);
    sums->busy = false;
    if (status) {
        return NULL;
    }
    Py_RETURN_NONE;
}
