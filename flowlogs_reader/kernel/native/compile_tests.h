/* Tests and windows, made from Python objects. */

#pragma once

#include "addresses.h"
#include "base.h"
#include "bits.h"
#include "lines.h"
#include "memory.h"
#include "places.h"
#include "tests.h"

/* The sign of an integer: -1, 0 or 1; -2 with an error set. */
static int sign_of(PyObject *number)
{
    PyObject *zero = PyLong_FromLong(0);
    if (!zero) {
        return -2;
    }
    int less = PyObject_RichCompareBool(number, zero, Py_LT);
    int more = less == 0 ? PyObject_RichCompareBool(number, zero, Py_GT) : 0;
    Py_DECREF(zero);
    return less < 0 || more < 0 ? -2 : more - less;
}

/* Converts a Python integer to 128 bits. Returns 0, -1 if it is too small, 1 if too large, or -2 with an error set. */
static int get_wide(PyObject *number, int version, Wide *wide)
{
    *wide = (Wide){0, 0, version};
    int sign = sign_of(number);
    if (sign < 0) {
        return sign;
    }
    PyObject *shift = PyLong_FromLong(64);
    PyObject *high = shift ? PyNumber_Rshift(number, shift) : NULL;
    Py_XDECREF(shift);
    if (!high) {
        return -2;
    }
    wide->low = PyLong_AsUnsignedLongLongMask(number);
    wide->high = PyLong_AsUnsignedLongLong(high);
    Py_DECREF(high);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -2;
        }
        PyErr_Clear();
        return 1;
    }
    return 0;
}

static bool get_texts(PyObject *payload, Test *test, Pool *pool)
{
    test->n_texts = (size_t)PyTuple_Size(payload);
    test->texts = pool_get(pool, test->n_texts, sizeof(Text));
    for (size_t i = 0; test->texts && i < test->n_texts; i++) {
        char *text;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(payload, (Py_ssize_t)i), &text, &size) < 0) {
            return false;
        }
        test->texts[i] = (Text){(const byte *)text, (size_t)size};
    }
    if (test->texts && test->n_texts > 4) {
        qsort(test->texts, test->n_texts, sizeof(Text), compare_texts);
    }
    return test->texts != NULL;
}

static bool get_ranges(PyObject *payload, Test *test, Pool *pool)
{
    Py_ssize_t count = PyTuple_Size(payload);
    test->ranges = pool_get(pool, (size_t)count, sizeof(Range));
    if (!test->ranges) {
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *first, *last, *item = PyTuple_GetItem(payload, i);
        int version = 0;
        if (!PyTuple_Check(item)) {
            PyErr_SetString(PyExc_TypeError, "a range must be a tuple");
            return false;
        }
        if (!PyArg_ParseTuple(item, test->kind == ADDRESS ? "OOi" : "OO", &first, &last, &version)) {
            return false;
        }
        Range range;
        int below = get_wide(first, version, &range.first);
        int above = below == -2 ? -2 : get_wide(last, version, &range.last);
        if (above == -2) {
            return false;
        }
        if (above == 1) {
            range.last.high = range.last.low = UINT64_MAX;
        }
        bool possible = below < 1 && above > -1 && compare_wide(range.first, range.last) <= 0;
        if (possible && (test->kind == NUMBER || version == 4 || version == 6)) {
            test->ranges[test->n_ranges++] = range;
        }
    }
    test->n_ranges = merge_ranges(test->ranges, test->n_ranges);
    return true;
}

/* A text that can be a value of a line. */
static bool get_value(PyObject *object, Text *text)
{
    char *at;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(object, &at, &size) < 0) {
        return false;
    }
    *text = (Text){(const byte *)at, (size_t)size};
    if (!is_canonical('T', *text)) {
        PyErr_Format(PyExc_ValueError, "%R cannot be a value of a line", object);
        return false;
    }
    return true;
}

static bool get_label(PyObject *item, Label *label)
{
    PyObject *first, *last, *text;
    int version = 0;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a label must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(item, "OOiO", &first, &last, &version, &text)) {
        return false;
    }
    int outside = get_wide(first, version, &label->first);
    outside = outside ? outside : get_wide(last, version, &label->last);
    if (outside == -2 || !get_value(text, &label->text)) {
        return false;
    }
    uint64_t largest = version == 4 ? UINT32_MAX : UINT64_MAX;
    bool sound = version == 6 || (version == 4 && !label->last.high);
    if (outside || !sound || label->last.low > largest || compare_wide(label->first, label->last) > 0) {
        PyErr_SetString(PyExc_ValueError, "a label needs a range of addresses");
        return false;
    }
    return true;
}

/* The labels in a tuple, which owns their texts. */
static bool get_labels(PyObject *tuple, Labels *labels, Pool *pool)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "labels must be a tuple");
        return false;
    }
    labels->count = (size_t)PyTuple_Size(tuple);
    labels->each = pool_get(pool, labels->count, sizeof(Label));
    for (size_t i = 0; labels->each && i < labels->count; i++) {
        if (!get_label(PyTuple_GetItem(tuple, (Py_ssize_t)i), &labels->each[i])) {
            return false;
        }
    }
    if (!labels->each) {
        return false;
    }
    qsort(labels->each, labels->count, sizeof(Label), compare_labels);
    for (size_t i = 1; i < labels->count; i++) {
        if (compare_wide(labels->each[i].first, labels->each[i - 1].last) <= 0) {
            PyErr_SetString(PyExc_ValueError, "the ranges of labels must not overlap");
            return false;
        }
    }
    return true;
}

static bool get_same(PyObject *payload, Test *test, const Scan *scan, Pool *pool)
{
    static const char operators[6][3] = {"=", "!=", "<", "<=", ">", ">="};
    PyObject *other, *operator, *labels = Py_None;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(payload, "OU|O", &other, &operator, &labels)) {
        return false;
    }
    test->labelled = labels != Py_None;
    if (test->labelled && !get_labels(labels, &test->labels, pool)) {
        return false;
    }
    const char *text = PyUnicode_AsUTF8AndSize(operator, &size);
    if (!text) {
        return false;
    }
    test->addresses = text[0] == '@';
    int found = -1;
    for (int i = 0; i < 6; i++) {
        if (strcmp(text + test->addresses, operators[i]) == 0 && strlen(text) == (size_t)size) {
            found = i;
        }
    }
    if (found < 0 || (test->labelled && (test->addresses || found > NE))) {
        PyErr_Format(PyExc_ValueError, "there is no operator %R", operator);
        return false;
    }
    test->operator = (Operator)found;
    bool ordered = !test->addresses && test->operator != EQ && test->operator != NE;
    test->numbers = !test->addresses;
    for (size_t i = 0; ordered && i < test->places.count; i++) {
        if (test->places.at[i] >= 0 && scan->kinds[test->places.at[i]] == 'T') {
            PyErr_SetString(PyExc_ValueError, "text can be compared with = and != only");
            return false;
        }
    }
    test->other = get_place(other, scan, ordered ? "IM" : "TIM");
    return test->other >= -1;
}

static bool get_test(PyObject *tuple, Test *test, const Scan *scan, Pool *pool)
{
    static const char names[5][8] = {"text", "number", "flags", "address", "same"};
    PyObject *places, *kind, *payload;
    int negated, missing, found = -1;
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a test must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(tuple, "OppUO", &places, &negated, &missing, &kind, &payload)) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        if (PyUnicode_CompareWithASCIIString(kind, names[i]) == 0) {
            found = i;
        }
    }
    if (found < 0) {
        PyErr_Format(PyExc_ValueError, "there is no test of the kind %R", kind);
        return false;
    }
    test->kind = (TestKind)found;
    test->negated = negated;
    test->missing = missing;
    bool numeric = test->kind == NUMBER || test->kind == FLAGS;
    if (!get_places(places, scan, numeric ? "IM" : "TIM", pool, &test->places)) {
        return false;
    }
    if (test->kind == FLAGS) {
        Wide mask;
        int outside = get_wide(payload, 0, &mask);
        test->possible = outside == 0 && mask.high == 0;
        test->mask = mask.low;
        return outside != -2;
    }
    if (!PyTuple_Check(payload)) {
        PyErr_SetString(PyExc_TypeError, "the payload of a test must be a tuple");
        return false;
    }
    switch (test->kind) {
    case TEXT:
        return get_texts(payload, test, pool);
    case SAME:
        return get_same(payload, test, scan, pool);
    default:
        return get_ranges(payload, test, pool);
    }
}

/* Converts milliseconds to seconds, rounded up. A number that needs more than 64 bits becomes the nearest one. */
static bool get_seconds(PyObject *number, int64_t *seconds)
{
    int overflow;
    long long ms = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (ms == -1 && PyErr_Occurred()) {
        return false;
    }
    if (overflow) {
        *seconds = overflow < 0 ? INT64_MIN : INT64_MAX;
    } else {
        *seconds = ms / 1000 + (ms % 1000 > 0);
    }
    return true;
}

/* The tests in a tuple; NULL with an error set. */
static Test *get_tests(PyObject *tuple, const Scan *scan, Pool *pool, size_t *count)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "tests must be a tuple, or compiled");
        return NULL;
    }
    *count = (size_t)PyTuple_Size(tuple);
    Test *tests = pool_get(pool, *count, sizeof(Test));
    for (size_t i = 0; tests && i < *count; i++) {
        if (!get_test(PyTuple_GetItem(tuple, (Py_ssize_t)i), &tests[i], scan, pool)) {
            return NULL;
        }
    }
    return tests;
}

/* The caller must hold a reference to the capsule while the selector is used. */
static bool use_compiled(PyObject *capsule, const Scan *scan, Selector *selector)
{
    const Compiled *compiled = PyCapsule_GetPointer(capsule, COMPILED);
    if (!compiled) {
        return false;
    }
    if ((size_t)PyBytes_Size(compiled->kinds) != scan->fields ||
        memcmp(PyBytes_AsString(compiled->kinds), scan->kinds, scan->fields) != 0) {
        PyErr_SetString(PyExc_ValueError, "the tests were compiled for lines of other kinds");
        return false;
    }
    selector->tests = compiled->tests;
    selector->n_tests = compiled->n_tests;
    return true;
}

/* The pool must be freed with pool_free, also if this fails. */
static bool get_selector(PyObject *tests, PyObject *window, const Scan *scan, Selector *selector)
{
    if (PyCapsule_CheckExact(tests)) {
        if (!use_compiled(tests, scan, selector)) {
            return false;
        }
    } else if (!(selector->tests = get_tests(tests, scan, &selector->pool, &selector->n_tests))) {
        return false;
    }
    if (window == Py_None) {
        return true;
    }
    PyObject *start, *end, *start_ms, *end_ms;
    int timeless;
    if (!PyTuple_Check(window)) {
        PyErr_SetString(PyExc_TypeError, "a window must be a tuple or None");
        return false;
    }
    if (!PyArg_ParseTuple(window, "OOOOp", &start, &end, &start_ms, &end_ms, &timeless)) {
        return false;
    }
    selector->windowed = true;
    selector->timeless = timeless;
    selector->start = get_place(start, scan, "M");
    selector->end = selector->start < -1 ? -2 : get_place(end, scan, "M");
    return selector->end >= -1 && get_seconds(start_ms, &selector->low) && get_seconds(end_ms, &selector->high);
}

static void compiled_free(Compiled *compiled)
{
    pool_free(&compiled->pool);
    Py_XDECREF(compiled->kinds);
    Py_XDECREF(compiled->given);
    free_memory(compiled);
}

static void capsule_free(PyObject *capsule)
{
    Compiled *compiled = PyCapsule_GetPointer(capsule, COMPILED);
    if (compiled) {
        compiled_free(compiled);
    }
}

PyDoc_STRVAR(
    compile_tests_doc,
    "compile_tests(kinds, tests) -> Tests\n\n"
    "Tests that can be given in place of a tuple (see pure.compile_tests).");

static PyObject *kernel_compile_tests(PyObject *module, PyObject *args)
{
    PyObject *kinds, *tests, *capsule = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "SO:compile_tests", &kinds, &tests)) {
        return NULL;
    }
    /* Only the kinds of this Scan are used: its data could be any bytes. */
    Scan *scan = scan_new(kinds, kinds);
    Compiled *compiled = scan ? get_zeros(1, sizeof(Compiled)) : NULL;
    if (compiled) {
        compiled->kinds = Py_NewRef(kinds);
        compiled->given = Py_NewRef(tests);
        compiled->tests = get_tests(tests, scan, &compiled->pool, &compiled->n_tests);
        capsule = compiled->tests ? PyCapsule_New(compiled, COMPILED, capsule_free) : NULL;
        if (!capsule) {
            compiled_free(compiled);
        }
    } else if (scan) {
        PyErr_NoMemory();
    }
    scan_free(scan);
    return capsule;
}
