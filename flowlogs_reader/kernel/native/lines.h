/* Lines.

   A Scan returns the canonical form of each line in turn. Nearly all lines are canonical, and are not copied; others
   are made canonical in a buffer that the next line overwrites. */

#pragma once

#include "base.h"
#include "bits.h"
#include "byte_classes.h"
#include "memory.h"

typedef struct {
    const byte *text;
    size_t size;                /* with the newline */
    bool as_given;              /* it is a part of the data, newline and all */
    const byte *limit;          /* how far may be read */
    size_t at[MAX_FIELDS + 1];  /* where the values begin; the last one ends before at[fields] - 1 */
} Line;

/* What an attempt to read a line comes to. */
typedef enum {
    FOUND,    /* a record */
    CUT,      /* the end of the line is not classified, or there are no more lines */
    ODD,      /* the line is not canonical, but may have a canonical form */
    SKIPPED,  /* the line is blank, or not a record */
    OUT_OF_MEMORY,
} Outcome;

typedef struct {
    const byte *kinds;
    size_t fields;
    const byte *data;
    size_t length, at;
    size_t base, limit;  /* the part of the data that is classified */
    size_t skipped;      /* lines that are not records */
    Buffer repaired;     /* the last line that was made canonical */
    Classes classes;
} Scan;

INLINE Text value_at(const Line *line, int place)
{
    static const byte missing[1] = {'-'};
    if (place < 0) {
        return (Text){missing, 1};
    }
    return (Text){line->text + line->at[place], line->at[place + 1] - line->at[place] - 1};
}

static bool is_space(byte c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(byte c)
{
    return c >= '0' && c <= '9';
}

/* Whether a value is canonical. False for times from 2000000000 on, which may be canonical: repair_value decides. */
static bool is_canonical(byte kind, Text value)
{
    if (!value.size) {
        return false;
    }
    if (kind == 'T') {
        for (size_t i = 0; i < value.size; i++) {
            if (value.text[i] < 0x21 || value.text[i] > 0x7e) {
                return false;
            }
        }
        return true;
    }
    if (is_missing(value)) {
        return true;
    }
    if (value.size > (kind == 'M' ? 10 : MAX_DIGITS) || (value.text[0] == '0' && value.size > 1)) {
        return false;
    }
    for (size_t i = 0; i < value.size; i++) {
        if (!is_digit(value.text[i])) {
            return false;
        }
    }
    return kind != 'M' || value.size < 10 || value.text[0] == '1';
}

/* Writes the canonical form of a value, which is never longer. Returns false if it has none. */
static bool repair_value(byte kind, Text value, Buffer *out)
{
    if (kind == 'T' || is_missing(value)) {
        if (!is_canonical('T', value)) {
            return false;
        }
        buffer_put(out, value.text, value.size);
        return true;
    }
    for (size_t i = 0; i < value.size; i++) {
        if (!is_digit(value.text[i])) {
            return false;
        }
    }
    while (value.size > 1 && value.text[0] == '0') {
        value.text++;
        value.size--;
    }
    if (value.size > MAX_DIGITS) {
        return false;
    }
    if (kind == 'M') {
        uint64_t seconds = number_of(value, value.text);
        if (seconds > MAX_SECONDS) {
            seconds /= 1000;
            if (seconds > MAX_SECONDS) {
                return false;
            }
            out->used += put_number(out->at + out->used, seconds);
            return true;
        }
    }
    buffer_put(out, value.text, value.size);
    return true;
}

static bool is_blank(Text text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_space(text.text[i])) {
            return false;
        }
    }
    return true;
}

/* Whether a line, without its newline, is canonical. If it is, `line` says where its values begin. */
static bool find_canonical_values(const Scan *scan, Text text, Line *line)
{
    size_t place = 0, from = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.text[i] == ' ') {
            if (place == scan->fields || !is_canonical(scan->kinds[place], (Text){text.text + from, i - from})) {
                return false;
            }
            line->at[place++] = from;
            from = i + 1;
        }
    }
    line->at[place] = from;
    return place == scan->fields;
}

/* Writes the canonical form of a line, with a newline. SKIPPED: it has none. */
static Outcome write_canonical(Scan *scan, Text text, Line *line)
{
    Buffer *out = &scan->repaired;
    out->used = 0;
    /* The last value may need a newline. */
    if (buffer_room(out, text.size + 1)) {
        return OUT_OF_MEMORY;
    }
    size_t place = 0, i = 0;
    for (;;) {
        while (i < text.size && is_space(text.text[i])) {
            i++;
        }
        if (i == text.size) {
            break;
        }
        size_t from = i;
        while (i < text.size && !is_space(text.text[i])) {
            i++;
        }
        if (place == scan->fields) {
            return SKIPPED;
        }
        line->at[place] = out->used;
        if (!repair_value(scan->kinds[place], (Text){text.text + from, i - from}, out)) {
            return SKIPPED;
        }
        out->at[out->used++] = ' ';
        place++;
    }
    if (place != scan->fields) {
        return SKIPPED;
    }
    out->at[out->used - 1] = '\n';
    line->at[place] = out->used;
    line->text = out->at;
    line->size = out->used;
    line->limit = out->at + out->size;
    line->as_given = false;
    return FOUND;
}

INLINE void set_given_line(const Scan *scan, Line *line, const byte *text, size_t size)
{
    line->text = text;
    line->size = size;
    line->limit = scan->data + scan->length;
    line->as_given = true;
}

/* Reads a line byte by byte: one that is not canonical, is very long, or has no newline. */
NOINLINE Outcome repair_line(Scan *scan, Line *line)
{
    const byte *begin = scan->data + scan->at;
    size_t left = scan->length - scan->at;
    const byte *newline = memchr(begin, '\n', left);
    const Text text = {begin, newline ? (size_t)(newline - begin) : left};
    scan->at += text.size + (newline != NULL);
    if (is_blank(text)) {
        return SKIPPED;
    }
    bool canonical = find_canonical_values(scan, text, line);
    if (canonical && newline) {
        set_given_line(scan, line, begin, text.size + 1);
        return FOUND;
    }
    Outcome outcome = canonical || text.size <= MAX_LINE ? write_canonical(scan, text, line) : SKIPPED;
    scan->skipped += outcome == SKIPPED;
    if (outcome == FOUND && newline && line->size == text.size + 1 && memcmp(line->text, begin, line->size) == 0) {
        /* It has a time from 2000000000 on, for which is_canonical returns false, and is canonical all the same. */
        set_given_line(scan, line, begin, line->size);
    }
    return outcome;
}

/* Reads a canonical line from the classes of its bytes. CUT: its end is not classified. ODD: it is not canonical. */
INLINE Outcome quick_line(Scan *scan, Line *line)
{
    if (UNLIKELY(scan->at >= scan->limit)) {
        return CUT;
    }
    const byte *text = scan->data + scan->at;
    const byte *kinds = scan->kinds;
    const size_t first = scan->at - scan->base, words = (scan->limit - scan->base + 63) >> 6;
    const size_t fields = scan->fields;
    size_t word = first >> 6, from = first;
    uint64_t ends = scan->classes.ends[word] & ~UINT64_C(0) << (first & 63);
    line->at[0] = 0;
    for (size_t place = 0; place < fields; place++) {
        while (!ends) {
            if (++word >= words) {
                return CUT;
            }
            ends = scan->classes.ends[word];
        }
        const size_t end = word * 64 + lowest(ends);
        ends &= ends - 1;
        const size_t size = end - from;
        const byte *value = text + (from - first);
        bool sound = value[size] == (place + 1 < fields ? ' ' : '\n');
        if (kinds[place] == 'T') {
            sound &= size != 0;
        } else {
            const size_t longest = kinds[place] == 'I' ? MAX_DIGITS : 10;
            bool number = size - 1 < longest &&
                          !(bits_at(scan->classes.nondigits, from) & ((UINT64_C(1) << size) - 1)) &&
                          (value[0] != '0' || size == 1) && (size < 10 || value[0] == '1' || longest != 10);
            sound &= number || (size == 1 && value[0] == '-');
        }
        if (UNLIKELY(!sound)) {
            return ODD;
        }
        from = end + 1;
        line->at[place + 1] = from - first;
    }
    if (UNLIKELY(scan->classes.any_unprintable) && any_bits(scan->classes.unprintable, first, from)) {
        return ODD;
    }
    set_given_line(scan, line, text, from - first);
    scan->at += line->size;
    return FOUND;
}

/* Reads the next line that is a record. Returns FOUND, CUT at the end of the data, or OUT_OF_MEMORY. */
INLINE Outcome next_line(Scan *scan, Line *line)
{
    for (;;) {
        Outcome outcome = quick_line(scan, line);
        if (LIKELY(outcome == FOUND)) {
            return FOUND;
        }
        if (scan->at >= scan->length) {
            return CUT;
        }
        if (outcome == CUT && !(scan->base == scan->at && scan->limit > scan->at)) {
            size_t left = scan->length - scan->at;
            scan->base = scan->at;
            scan->limit = scan->at + (left < PART ? left : PART);
            classify(&scan->classes, scan->data + scan->base, scan->limit - scan->base);
            continue;
        }
        outcome = repair_line(scan, line);
        if (outcome != SKIPPED) {
            return outcome;
        }
    }
}

/* Sets up a Scan of a bytes object. It must be freed with scan_free. */
static Scan *scan_new(PyObject *kinds, PyObject *data)
{
    char *text;
    Py_ssize_t size;
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return NULL;
    }
    if (PyBytes_AsStringAndSize(kinds, &text, &size) < 0) {
        return NULL;
    }
    bool sound = size > 0 && size <= MAX_FIELDS;
    for (Py_ssize_t i = 0; i < size && sound; i++) {
        sound = text[i] == 'T' || text[i] == 'I' || text[i] == 'M';
    }
    if (!sound) {
        PyErr_Format(PyExc_ValueError, "the kinds of a log are 1 to 256 letters T, I or M, not %R", kinds);
        return NULL;
    }
    Scan *scan = get_memory(sizeof(Scan));
    if (!scan) {
        PyErr_NoMemory();
        return NULL;
    }
    memset(scan, 0, offsetof(Scan, classes));
    scan->kinds = (const byte *)text;
    scan->fields = (size_t)size;
    scan->data = (const byte *)PyBytes_AsString(data);
    scan->length = (size_t)PyBytes_Size(data);
    return scan;
}

static void scan_free(Scan *scan)
{
    if (scan) {
        free_memory(scan->repaired.at);
        free_memory(scan);
    }
}
