/* The rows of a table. */

#pragma once

#include "adding.h"
#include "base.h"
#include "bits.h"
#include "compile_tests.h"
#include "memory.h"
#include "table.h"
#include "tests.h"

/* Returns the entry at a position of the table, and moves the position to the next one. NULL at the end. */
static Entry *next_entry(const Sums *sums, size_t *chunk, size_t *unit)
{
    size_t number = *chunk, at = *unit;
    while (number < sums->n_chunks && at >= sums->chunks[number].used) {
        number++;
        at = 0;
    }
    if (number >= sums->n_chunks) {
        return NULL;
    }
    Entry *entry = (Entry *)(void *)(sums->chunks[number].at + at * 8);
    *chunk = number;
    *unit = at + units_of(entry->size);
    return entry;
}

static Status put_row(const Sums *sums, Entry *entry, Buffer *out)
{
    if (buffer_room(out, (size_t)entry->size + 128)) {
        return NO_MEMORY;
    }
    buffer_put(out, key_of(entry), entry->size);
    byte *at = out->at + out->used;
    size_t size = 0;
    if (sums->n_keys) {
        at[size++] = ' ';
    }
    size += put_wide_number(at + size, entry->packets_high, entry->packets);
    at[size++] = ' ';
    size += put_wide_number(at + size, entry->octets_high, entry->octets);
    at[size++] = ' ';
    if (entry->start == NO_START) {
        at[size++] = '-';
    } else {
        size += put_number(at + size, entry->start);
    }
    at[size++] = ' ';
    if (!entry->end_after) {
        at[size++] = '-';
    } else {
        size += put_number(at + size, entry->end_after - 1);
    }
    at[size++] = ' ';
    size += put_number(at + size, entry->flows);
    at[size++] = '\n';
    out->used += size;
    return DONE;
}

static PyObject *take_bytes(Buffer *buffer, Status status)
{
    PyObject *result = NULL;
    if (status) {
        raise_status(status);
    } else {
        result = new_bytes(buffer->at, buffer->used);
    }
    free_memory(buffer->at);
    return result;
}

/* Converts a count of rows. Numbers that are too large become the largest one. */
static bool get_count(PyObject *number, size_t *count)
{
    int sign = sign_of(number);
    if (sign == -2) {
        return false;
    }
    if (sign < 0) {
        PyErr_SetString(PyExc_ValueError, "rows are counted from 0");
        return false;
    }
    *count = PyLong_AsSize_t(number);
    if (*count == (size_t)-1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return false;
        }
        PyErr_Clear();
    }
    return true;
}

static Status put_rows(Sums *sums, size_t begin, size_t count, Buffer *out)
{
    size_t chunk = 0, unit = 0, row = 0;
    Entry *entry;
    Status status = DONE;
    if (begin >= sums->page_row) {
        chunk = sums->page_chunk;
        unit = sums->page_unit;
        row = sums->page_row;
    }
    while (row < begin && next_entry(sums, &chunk, &unit)) {
        row++;
    }
    while (count-- && !status && (entry = next_entry(sums, &chunk, &unit))) {
        status = put_row(sums, entry, out);
        row++;
    }
    sums->page_chunk = chunk;
    sums->page_unit = unit;
    sums->page_row = row;
    return status;
}

PyDoc_STRVAR(
    sums_lines_doc, "lines(begin=0, count=None) -> bytes\n\nRows as canonical lines (see pure.Sums.lines).");

static PyObject *sums_lines(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"begin", "count", NULL};
    Sums *sums = (Sums *)self;
    PyObject *begin_given = NULL, *count_given = Py_None;
    size_t begin = 0, count = SIZE_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:lines", names, &begin_given, &count_given) ||
        (begin_given && !get_count(begin_given, &begin)) ||
        (count_given != Py_None && !get_count(count_given, &count)) || !begin_use(sums)) {
        return NULL;
    }
    Buffer out = {0};
    Status status;
    Py_BEGIN_ALLOW_THREADS
    status = put_rows(sums, begin, count, &out);
    Py_END_ALLOW_THREADS
    sums->busy = false;
    return take_bytes(&out, status);
}

typedef struct {
    uint64_t low;
    uint32_t high;
    Entry *entry;
} Ranked;

/* Whether a row is sorted before another one: its number is larger, or equal and its key is smaller. */
static bool ranks_before(const Ranked *one, const Ranked *other)
{
    if (one->high != other->high) {
        return one->high > other->high;
    }
    if (one->low != other->low) {
        return one->low > other->low;
    }
    Text first = {key_of(one->entry), one->entry->size}, second = {key_of(other->entry), other->entry->size};
    return compare_values(first, second, false) < 0;
}

/* Moves an element down to its place in a heap whose root is the row that is sorted last. */
static void sift_down(Ranked *heap, size_t count, size_t at)
{
    Ranked moved = heap[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && ranks_before(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (!ranks_before(&moved, &heap[child])) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* Writes the first `count` rows. The table has at least that many, and `heap` room for them. */
static Status put_top(Sums *sums, Ranked *heap, size_t count, char by, Buffer *out)
{
    size_t chunk = 0, unit = 0, held = 0;
    Entry *entry;
    while (count && (entry = next_entry(sums, &chunk, &unit))) {
        Ranked row = {entry->flows, 0, entry};
        if (by == 'b') {
            row = (Ranked){entry->octets, entry->octets_high, entry};
        } else if (by == 'p') {
            row = (Ranked){entry->packets, entry->packets_high, entry};
        }
        if (held < count) {
            heap[held++] = row;
            for (size_t i = count / 2; held == count && i-- > 0;) {
                sift_down(heap, count, i);
            }
        } else if (ranks_before(&row, &heap[0])) {
            heap[0] = row;
            sift_down(heap, count, 0);
        }
    }
    for (size_t left = held; left > 1;) {
        Ranked last = heap[0];
        heap[0] = heap[--left];
        heap[left] = last;
        sift_down(heap, left, 0);
    }
    Status status = DONE;
    for (size_t i = 0; i < held && !status; i++) {
        status = put_row(sums, heap[i].entry, out);
    }
    return status;
}

PyDoc_STRVAR(sums_top_doc, "top(count, by) -> bytes\n\nThe rows with the largest sums (see pure.Sums.top).");

static PyObject *sums_top(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"count", "by", NULL};
    Sums *sums = (Sums *)self;
    PyObject *count_given, *by;
    size_t count;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OU:top", names, &count_given, &by)) {
        return NULL;
    }
    char measure = PyUnicode_CompareWithASCIIString(by, "flows") == 0 ? 'f' : 0;
    if (PyUnicode_CompareWithASCIIString(by, "bytes") == 0 && sums->octets) {
        measure = 'b';
    } else if (PyUnicode_CompareWithASCIIString(by, "packets") == 0 && sums->packets) {
        measure = 'p';
    }
    if (!measure) {
        PyErr_Format(PyExc_ValueError, "rows cannot be ordered by %R", by);
        return NULL;
    }
    if (!get_count(count_given, &count) || !begin_use(sums)) {
        return NULL;
    }
    count = count < sums->rows ? count : sums->rows;
    Buffer out = {0};
    Status status = NO_MEMORY;
    Ranked *heap = count > SIZE_MAX / sizeof(Ranked) ? NULL : get_memory(count * sizeof(Ranked));
    if (heap) {
        Py_BEGIN_ALLOW_THREADS
        status = put_top(sums, heap, count, measure, &out);
        Py_END_ALLOW_THREADS
    }
    free_memory(heap);
    sums->busy = false;
    return take_bytes(&out, status);
}

static Status merge_rows(Sums *sums, const Sums *other)
{
    size_t chunk = 0, unit = 0;
    const Entry *from;
    while ((from = next_entry(other, &chunk, &unit))) {
        /* A copy, since the entry changes if a table is added to itself. */
        Entry added = *from, *entry;
        const byte *key = (const byte *)from + KEY_AT;
        Status status = grow_slots(sums, sums->rows + 1);
        if (!status) {
            status = find_entry(sums, key, added.size, hash_text(key, added.size, sums->seed), &entry);
        }
        if (status) {
            return status;
        }
        entry->flows += added.flows;
        bool fits = add_wide(&entry->packets, &entry->packets_high, added.packets, added.packets_high);
        fits &= add_wide(&entry->octets, &entry->octets_high, added.octets, added.octets_high);
        entry->start = added.start < entry->start ? added.start : entry->start;
        entry->end_after = added.end_after > entry->end_after ? added.end_after : entry->end_after;
        if (!fits || entry->flows < added.flows) {
            return TOO_LARGE;
        }
    }
    return DONE;
}

PyDoc_STRVAR(sums_merge_doc, "merge(other)\n\nAdds the sums of another table (see pure.Sums.merge).");

static PyObject *sums_merge(PyObject *self, PyObject *object)
{
    Sums *sums = (Sums *)self, *other = (Sums *)object;
    if (Py_TYPE(object) != Py_TYPE(self)) {
        PyErr_SetString(PyExc_TypeError, "only tables of the same kernel can be merged");
        return NULL;
    }
    int same = PyObject_RichCompareBool(sums->signature, other->signature, Py_EQ);
    if (same != 1) {
        if (same == 0) {
            PyErr_SetString(PyExc_ValueError, "only tables of the same keys and sums can be merged");
        }
        return NULL;
    }
    if (!begin_use(sums)) {
        return NULL;
    }
    if (other != sums && !begin_use(other)) {
        sums->busy = false;
        return NULL;
    }
    Status status;
    Py_BEGIN_ALLOW_THREADS
    status = merge_rows(sums, other);
    Py_END_ALLOW_THREADS
    sums->busy = other->busy = false;
    if (status) {
        raise_status(status);
        return NULL;
    }
    Py_RETURN_NONE;
}

static Py_ssize_t sums_length(PyObject *self)
{
    Sums *sums = (Sums *)self;
    if (sums->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this table");
        return -1;
    }
    return (Py_ssize_t)sums->rows;
}
