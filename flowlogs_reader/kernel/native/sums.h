/* The Python type Sums: a table and its methods. */

#pragma once

#include "adding.h"
#include "base.h"
#include "bits.h"
#include "compile_tests.h"
#include "keys.h"
#include "memory.h"
#include "rows.h"
#include "table.h"

static bool get_prefix(PyObject *tuple, Key *key)
{
    PyObject *kind, *lengths[2];
    unsigned *into[2] = {&key->n4, &key->n6};
    if (!PyArg_ParseTuple(tuple, "OOO", &kind, &lengths[0], &lengths[1])) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        int sign = sign_of(lengths[i]);
        if (sign == -2) {
            return false;
        }
        int overflow;
        long length = PyLong_AsLongAndOverflow(lengths[i], &overflow);
        if (length == -1 && PyErr_Occurred()) {
            return false;
        }
        if (sign < 0) {
            PyErr_SetString(PyExc_ValueError, "the length of a prefix is 0 or more");
            return false;
        }
        *into[i] = overflow || length > 128 ? 128 : (unsigned)length;
    }
    return true;
}

static bool get_bucket(PyObject *tuple, Key *key)
{
    const long long largest = INT64_C(1) << 62;
    PyObject *kind, *given[2];
    long long numbers[2];
    bool sound = true;
    if (!PyArg_ParseTuple(tuple, "OOO", &kind, &given[0], &given[1])) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        int overflow;
        numbers[i] = PyLong_AsLongLongAndOverflow(given[i], &overflow);
        if (numbers[i] == -1 && PyErr_Occurred()) {
            return false;
        }
        sound = sound && !overflow && numbers[i] <= largest && numbers[i] >= (i ? -largest : 1);
    }
    if (!sound) {
        PyErr_SetString(PyExc_ValueError, "a bucket has 1 to 2**62 seconds");
        return false;
    }
    long long offset = numbers[1] % numbers[0];
    key->seconds = (uint64_t)numbers[0];
    key->offset = (uint64_t)(offset < 0 ? offset + numbers[0] : offset);
    return true;
}

static bool get_map(PyObject *tuple, Key *key, Pool *pool, PyObject *owner)
{
    PyObject *kind, *mapping, *otherwise;
    if (!PyArg_ParseTuple(tuple, "OOO", &kind, &mapping, &otherwise)) {
        return false;
    }
    if (!PyDict_Check(mapping)) {
        PyErr_SetString(PyExc_TypeError, "the mapping of a key must be a dict");
        return false;
    }
    /* Copy the items: the dict may change later. */
    PyObject *items = PyDict_Items(mapping);
    int failed = items ? PyList_Append(owner, items) : -1;
    Py_XDECREF(items);
    if (failed || PyList_Append(owner, otherwise) < 0 || !get_value(otherwise, &key->otherwise)) {
        return false;
    }
    key->n_pairs = (size_t)PyList_Size(items);
    key->pairs = pool_get(pool, key->n_pairs, sizeof(Pair));
    for (size_t i = 0; key->pairs && i < key->n_pairs; i++) {
        PyObject *item = PyList_GetItem(items, (Py_ssize_t)i);
        char *text;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(item, 0), &text, &size) < 0 ||
            !get_value(PyTuple_GetItem(item, 1), &key->pairs[i].to)) {
            return false;
        }
        key->pairs[i].from = (Text){(const byte *)text, (size_t)size};
    }
    if (key->pairs) {
        qsort(key->pairs, key->n_pairs, sizeof(Pair), compare_pairs);
    }
    return key->pairs != NULL;
}

static bool get_labelled(PyObject *tuple, Key *key, Pool *pool, PyObject *owner)
{
    PyObject *kind, *labels, *otherwise;
    return PyArg_ParseTuple(tuple, "OOO", &kind, &labels, &otherwise) && PyList_Append(owner, tuple) == 0 &&
           get_value(otherwise, &key->otherwise) && get_labels(labels, &key->labels, pool);
}

static bool get_key(PyObject *object, Key *key, Pool *pool, PyObject *owner)
{
    if (object == Py_None) {
        key->kind = AS_IS;
        return true;
    }
    if (!PyTuple_Check(object) || PyTuple_Size(object) != 3) {
        PyErr_SetString(PyExc_ValueError, "a key is None or a tuple of three");
        return false;
    }
    PyObject *kind = PyTuple_GetItem(object, 0);
    if (!PyUnicode_Check(kind)) {
        PyErr_SetString(PyExc_TypeError, "the first item of a key must be a str");
        return false;
    }
    if (PyUnicode_CompareWithASCIIString(kind, "prefix") == 0) {
        key->kind = PREFIX;
        return get_prefix(object, key);
    }
    if (PyUnicode_CompareWithASCIIString(kind, "bucket") == 0) {
        key->kind = BUCKET;
        return get_bucket(object, key);
    }
    if (PyUnicode_CompareWithASCIIString(kind, "map") == 0) {
        key->kind = MAP;
        return get_map(object, key, pool, owner);
    }
    if (PyUnicode_CompareWithASCIIString(kind, "label") == 0) {
        key->kind = LABEL;
        return get_labelled(object, key, pool, owner);
    }
    PyErr_Format(PyExc_ValueError, "a key cannot be made by %R", kind);
    return false;
}

static bool get_track(PyObject *track, Sums *sums)
{
    static const char names[4][8] = {"packets", "bytes", "start", "end"};
    bool *into[4] = {&sums->packets, &sums->octets, &sums->start, &sums->end};
    PyObject *all = PySequence_Tuple(track);
    if (!all) {
        return false;
    }
    bool sound = true;
    for (Py_ssize_t i = 0; i < PyTuple_Size(all) && sound; i++) {
        PyObject *name = PyTuple_GetItem(all, i);
        int found = -1;
        for (int j = 0; j < 4 && PyUnicode_Check(name); j++) {
            if (PyUnicode_CompareWithASCIIString(name, names[j]) == 0) {
                found = j;
            }
        }
        sound = found >= 0;
        if (sound) {
            *into[found] = true;
        } else {
            PyErr_Format(PyExc_ValueError, "%R cannot be tracked", name);
        }
    }
    Py_DECREF(all);
    return sound;
}

/* Finds out how str(ip_network) writes ::ffff:1.2.3.0/120: with dots since Python 3.13. */
static bool learn_spelling(Sums *sums)
{
    PyObject *pure = PyImport_ImportModule("flowlogs_reader.kernel.pure");
    if (!pure) {
        return false;
    }
    sums->network = PyObject_GetAttrString(pure, "network");
    Py_DECREF(pure);
    PyObject *made =
        sums->network ? PyObject_CallFunction(sums->network, "yii", "::ffff:1.2.3.4", 128, 120) : NULL;
    char *text;
    Py_ssize_t size;
    bool fine = made && PyBytes_AsStringAndSize(made, &text, &size) == 0;
    if (fine) {
        sums->dotted = memchr(text, '.', (size_t)size) != NULL;
    }
    Py_XDECREF(made);
    return fine;
}

static bool sums_set_up(Sums *sums, PyObject *keys, PyObject *track)
{
    PyObject *given = PySequence_Tuple(keys);
    if (!given) {
        return false;
    }
    bool fine = true, networks = false;
    sums->n_keys = (size_t)PyTuple_Size(given);
    sums->keys_given = PyList_New(0);
    sums->keys = sums->keys_given ? pool_get(&sums->pool, sums->n_keys, sizeof(Key)) : NULL;
    sums->plain = fine = sums->keys != NULL;
    for (size_t i = 0; i < sums->n_keys && fine; i++) {
        fine = get_key(PyTuple_GetItem(given, (Py_ssize_t)i), &sums->keys[i], &sums->pool, sums->keys_given);
        sums->plain = sums->plain && sums->keys[i].kind == AS_IS;
        networks = networks || sums->keys[i].kind == PREFIX;
    }
    if (fine && track) {
        fine = get_track(track, sums);
    } else {
        sums->packets = sums->octets = sums->start = sums->end = true;
    }
    fine = fine && (!networks || learn_spelling(sums));
    if (fine) {
        sums->signature = Py_BuildValue(
            "(Niiiii)", PyObject_Repr(given), sums->packets, sums->octets, sums->start, sums->end, sums->flows_only);
        fine = sums->signature != NULL;
    }
    Py_DECREF(given);
    if (fine) {
        /* Python's hashes differ in each process. So the keys that collide do, too. */
        PyObject *seed = PyBytes_FromString("flows");
        sums->seed = seed ? (uint64_t)PyObject_Hash(seed) : 0;
        fine = seed != NULL;
        Py_XDECREF(seed);
    }
    return fine;
}

static PyObject *sums_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"keys", "track", "flows_only", NULL};
    PyObject *keys, *track = NULL;
    int flows_only = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Op:Sums", names, &keys, &track, &flows_only)) {
        return NULL;
    }
    /* The memory is zeroed already. */
    Sums *sums = (Sums *)PyType_GenericAlloc(type, 0);
    if (sums) {
        sums->flows_only = flows_only;
        if (!sums_set_up(sums, keys, track)) {
            Py_DECREF(sums);
            return NULL;
        }
    }
    return (PyObject *)sums;
}

static void sums_dealloc(PyObject *self)
{
    Sums *sums = (Sums *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (size_t i = 0; i < sums->n_chunks; i++) {
        free_memory(sums->chunks[i].at);
    }
    free_memory(sums->chunks);
    free_memory(sums->slots);
    pool_free(&sums->pool);
    Py_XDECREF(sums->signature);
    Py_XDECREF(sums->network);
    Py_XDECREF(sums->keys_given);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *sums_track(PyObject *self, void *closure)
{
    static const char names[4][8] = {"packets", "bytes", "start", "end"};
    const Sums *sums = (const Sums *)self;
    const bool tracked[4] = {sums->packets, sums->octets, sums->start, sums->end};
    (void)closure;
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < 4; i++) {
        PyObject *name = tracked[i] ? PyUnicode_FromString(names[i]) : NULL;
        if (tracked[i] && (!name || PyList_Append(list, name) < 0)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    PyObject *result = list ? PyFrozenSet_New(list) : NULL;
    Py_XDECREF(list);
    return result;
}

static PyObject *sums_flows_only(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((const Sums *)self)->flows_only);
}

static PyGetSetDef sums_attributes[] = {
    {"track", sums_track, NULL, "which of packets, bytes, start and end are summed", NULL},
    {"flows_only", sums_flows_only, NULL, "whether records without packets and bytes are left out", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef sums_methods[] = {
    {"add", sums_add, METH_VARARGS, sums_add_doc},
    {"add_groups", sums_add_groups, METH_O, sums_add_groups_doc},
    {"merge", sums_merge, METH_O, sums_merge_doc},
    {"lines", (PyCFunction)(void (*)(void))sums_lines, METH_VARARGS | METH_KEYWORDS, sums_lines_doc},
    {"top", (PyCFunction)(void (*)(void))sums_top, METH_VARARGS | METH_KEYWORDS, sums_top_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    sums_doc,
    "Sums(keys, track=..., flows_only=True)\n\n"
    "Sums of packets, bytes and flows for each key (see pure.Sums).");

static PyType_Slot sums_slots[] = {
    {Py_tp_doc, (void *)sums_doc},
    {Py_tp_new, (void *)sums_new},
    {Py_tp_dealloc, (void *)sums_dealloc},
    {Py_tp_methods, sums_methods},
    {Py_tp_getset, sums_attributes},
    {Py_sq_length, (void *)sums_length},
    {0, NULL},
};

static PyType_Spec sums_spec = {
    .name = "flowlogs_reader.kernel._native.Sums",
    .basicsize = sizeof(Sums),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = sums_slots,
};
