/* Lines with a text.

   A text is searched for at 64 offsets at a time, by four of its bytes: the whole text is compared at few of them. All
   texts are searched for in one part of the data, which stays in the processor's cache, before the next part. */

#pragma once

#include "base.h"
#include "bits.h"
#include "byte_classes.h"
#include "memory.h"

/* As in pure/lines.py. */
enum { BYTES_PER_LINE = 400, FEW_LINES = 16 };

typedef struct {
    size_t begin, end;
} Span;

typedef struct {
    Text text;
    size_t at[4];  /* offsets in the text of the bytes that are compared first */
} Needle;

typedef struct {
    const Needle *needles;
    size_t count;
    const byte *data;
    size_t length, most;  /* with more than so many lines, all lines are the result */
    Buffer spans;         /* of the lines found */
    size_t size;          /* of these lines together */
} Search;

/* A bit for each of 64 offsets: whether the text may begin there. A text at the last of them must end in the data. */
INLINE uint64_t may_begin_64(const byte *at, const Needle *needle)
{
    uint64_t found = 0;
#ifdef KERNEL_SSE2
    __m128i wanted[4];
    for (int j = 0; j < 4; j++) {
        wanted[j] = _mm_set1_epi8((char)needle->text.text[needle->at[j]]);
    }
    for (int i = 0; i < 4; i++) {
        __m128i equal = _mm_set1_epi8(-1);
        for (int j = 0; j < 4; j++) {
            const byte *from = at + 16 * i + needle->at[j];
            equal = _mm_and_si128(
                equal, _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)from), wanted[j]));
        }
        found |= (uint64_t)(unsigned)_mm_movemask_epi8(equal) << 16 * i;
    }
#else
    for (int i = 0; i < 8; i++) {
        uint64_t equal = HIGH;
        for (int j = 0; j < 4 && equal; j++) {
            equal &= equal8(load8(at + 8 * i + needle->at[j]), needle->text.text[needle->at[j]]);
        }
        found |= gather8(equal) << 8 * i;
    }
#endif
    return found;
}

/* Sets a bit for each of the `size` offsets from `base` on at which the text begins. */
static void find_text(const Search *search, const Needle *needle, size_t base, size_t size, uint64_t *found)
{
    const byte *data = search->data + base;
    const Text text = needle->text;
    const size_t left = search->length - base;
    if (left < text.size) {
        return;
    }
    size_t count = left - text.size + 1, at = 0;
    count = count < size ? count : size;
    for (; at + 64 <= count; at += 64) {
        uint64_t bits = may_begin_64(data + at, needle);
        while (UNLIKELY(bits)) {
            unsigned bit = lowest(bits);
            bits &= bits - 1;
            found[at >> 6] |= (uint64_t)(memcmp(data + at + bit, text.text, text.size) == 0) << bit;
        }
    }
    for (; at < count; at++) {
        found[at >> 6] |= (uint64_t)(memcmp(data + at, text.text, text.size) == 0) << (at & 63);
    }
}

/* Adds the line around an offset, unless it is the last one that was added. `end` is where that one ends. */
static Status add_span(Search *search, size_t at, size_t *end)
{
    if (at < *end) {
        return DONE;
    }
    size_t begin = at;
    while (begin > *end && search->data[begin - 1] != '\n') {
        begin--;
    }
    const byte *newline = memchr(search->data + at, '\n', search->length - at);
    *end = newline ? (size_t)(newline - search->data) + 1 : search->length;
    if (buffer_room(&search->spans, sizeof(Span))) {
        return NO_MEMORY;
    }
    Span span = {begin, *end};
    buffer_put(&search->spans, &span, sizeof(span));
    search->size += *end - begin;
    return search->spans.used / sizeof(Span) > search->most ? TOO_LARGE : DONE;
}

static Status find_spans(Search *search)
{
    uint64_t found[WORDS];
    size_t end = 0;
    for (size_t base = 0; base < search->length; base += PART) {
        size_t left = search->length - base, size = left < PART ? left : PART;
        memset(found, 0, sizeof(found));
        for (size_t i = 0; i < search->count; i++) {
            find_text(search, &search->needles[i], base, size, found);
        }
        for (size_t word = 0; word < WORDS; word++) {
            for (uint64_t bits = found[word]; bits; bits &= bits - 1) {
                Status status = add_span(search, base + word * 64 + lowest(bits), &end);
                if (status) {
                    return status;
                }
            }
        }
    }
    return DONE;
}

/* The texts in a tuple, none of them empty; NULL with an error set. */
static Needle *get_needles(PyObject *texts, Pool *pool, size_t *count)
{
    if (!PyTuple_Check(texts)) {
        PyErr_SetString(PyExc_TypeError, "texts must be a tuple");
        return NULL;
    }
    *count = (size_t)PyTuple_Size(texts);
    Needle *needles = pool_get(pool, *count, sizeof(Needle));
    for (size_t i = 0; needles && i < *count; i++) {
        char *text;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(texts, (Py_ssize_t)i), &text, &size) < 0) {
            return NULL;
        }
        if (!size) {
            PyErr_SetString(PyExc_ValueError, "every line contains an empty text");
            return NULL;
        }
        const size_t last = (size_t)size - 1;
        needles[i] = (Needle){{(const byte *)text, (size_t)size}, {last, 0, last / 3, last - last / 3}};
    }
    return needles;
}

PyDoc_STRVAR(
    lines_with_doc,
    "lines_with(texts, data) -> bytes\n\nThe lines that contain at least one of the texts (see pure.lines_with).");

static PyObject *kernel_lines_with(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *texts, *data;
    if (!PyArg_ParseTuple(args, "OO:lines_with", &texts, &data)) {
        return NULL;
    }
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return NULL;
    }
    Pool pool = {0};
    Search search = {.data = (const byte *)PyBytes_AsString(data), .length = (size_t)PyBytes_Size(data)};
    PyObject *result = NULL;
    search.most = search.length / BYTES_PER_LINE + FEW_LINES;
    search.needles = get_needles(texts, &pool, &search.count);
    if (search.needles) {
        Status status;
        Py_BEGIN_ALLOW_THREADS
        status = find_spans(&search);
        Py_END_ALLOW_THREADS
        if (status == TOO_LARGE) {
            result = Py_NewRef(data);
        } else if (status || !(result = new_bytes(NULL, search.size))) {
            raise_status(status);
        } else {
            byte *out = (byte *)PyBytes_AsString(result);
            const Span *spans = (const Span *)(const void *)search.spans.at;
            for (size_t i = 0; i < search.spans.used / sizeof(Span); i++) {
                memcpy(out, search.data + spans[i].begin, spans[i].end - spans[i].begin);
                out += spans[i].end - spans[i].begin;
            }
        }
    }
    free_memory(search.spans.at);
    pool_free(&pool);
    return result;
}
