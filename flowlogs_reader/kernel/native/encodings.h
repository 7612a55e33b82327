/* Output: lines as text, TSV, CSV and JSON lines. */

#pragma once

#include "base.h"
#include "bits.h"
#include "byte_classes.h"
#include "lines.h"
#include "memory.h"

typedef enum { AS_TEXT, AS_TSV, AS_CSV, AS_JSONL } Encoding;

typedef struct {
    int place;
    char time;      /* 'i' ISO 8601, 'd' date, 0 as it is */
    bool number;
    Text before;    /* what JSON lines have before the value */
} Column;

typedef struct {
    Encoding encoding;
    byte separator, out_separator;
    size_t count;
    Column *columns;
    size_t width;   /* how many values of a line are looked at */
    bool as_given;  /* the values are the first ones of a line, in its order, as they are */
    const byte *data;
    size_t length;
    uint64_t *ends;     /* separators and newlines */
    uint64_t *special;  /* what has to be quoted or escaped */
    size_t *at;         /* where the values of a line begin */
} Output;

/* Converts days since 1970 to year, month and day. After civil_from_days of Howard Hinnant: howardhinnant.github.io/
   date_algorithms.html */
static void civil_date(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

INLINE void put_two(byte *out, unsigned number)
{
    out[0] = (byte)('0' + number / 10);
    out[1] = (byte)('0' + number % 10);
}

/* Writes a time in the years 1 to 9999: 19 or 20 characters. */
static Status put_time(Text value, char form, Buffer *out)
{
    bool negative = value.size && value.text[0] == '-';
    Text digits = {value.text + negative, value.size - negative};
    if (!digits.size || digits.size > MAX_DIGITS) {
        return NOT_A_TIME;
    }
    for (size_t i = 0; i < digits.size; i++) {
        if (!is_digit(digits.text[i])) {
            return NOT_A_TIME;
        }
    }
    uint64_t number = number_of(digits, digits.text);
    if (number > UINT64_C(253402300799)) {
        return NOT_A_TIME;
    }
    int64_t seconds = negative ? -(int64_t)number : (int64_t)number;
    if (seconds < INT64_C(-62135596800)) {
        return NOT_A_TIME;
    }
    int64_t days = seconds / 86400 - (seconds % 86400 < 0), year;
    unsigned rest = (unsigned)(seconds - days * 86400), month, day;
    civil_date(days, &year, &month, &day);
    byte *at = out->at + out->used;
    put_two(at, (unsigned)year / 100);
    put_two(at + 2, (unsigned)year % 100);
    at[4] = at[7] = '-';
    put_two(at + 5, month);
    put_two(at + 8, day);
    at[10] = form == 'i' ? 'T' : ' ';
    put_two(at + 11, rest / 3600);
    at[13] = at[16] = ':';
    put_two(at + 14, rest / 60 % 60);
    put_two(at + 17, rest % 60);
    at[19] = 'Z';
    out->used += form == 'i' ? 20 : 19;
    return DONE;
}

/* Copies a value, which is usually short. The output must have room for 16 bytes more than the value has. */
INLINE void put_short(Buffer *out, Text value, const byte *limit)
{
    byte *at = out->at + out->used;
    if (LIKELY(value.size <= 16 && (size_t)(limit - value.text) >= 16)) {
        memcpy(at, value.text, 16);
    } else {
        memcpy(at, value.text, value.size);
    }
    out->used += value.size;
}

static void put_escaped(Buffer *out, Text value, byte one, byte other, byte escape)
{
    for (size_t i = 0; i < value.size; i++) {
        byte c = value.text[i];
        if (c == one || c == other) {
            out->at[out->used++] = escape;
        }
        out->at[out->used++] = c;
    }
}

static Status put_csv(const Output *output, Text value, size_t from, Buffer *out)
{
    if (UNLIKELY(is_missing(value))) {
        return DONE;
    }
    if (LIKELY(!any_bits(output->special, from, from + value.size))) {
        put_short(out, value, output->data + output->length);
        return DONE;
    }
    out->at[out->used++] = '"';
    put_escaped(out, value, '"', '"', '"');
    out->at[out->used++] = '"';
    return DONE;
}

static Status put_json(const Output *output, const Column *column, Text value, size_t from, Buffer *out)
{
    bool quoted = !column->number;
    if (UNLIKELY(is_missing(value))) {
        buffer_put(out, "null", 4);
        return DONE;
    }
    if (quoted) {
        out->at[out->used++] = '"';
    }
    if (LIKELY(!any_bits(output->special, from, from + value.size))) {
        put_short(out, value, output->data + output->length);
    } else {
        put_escaped(out, value, '"', '\\', '\\');
    }
    if (quoted) {
        out->at[out->used++] = '"';
    }
    return DONE;
}

static Status put_column(const Output *output, const Column *column, Text value, size_t from, Buffer *out)
{
    if (value.size > SIZE_MAX / 8 || buffer_room(out, value.size * 2 + column->before.size + 64)) {
        return NO_MEMORY;
    }
    if (output->encoding == AS_JSONL) {
        buffer_put(out, column->before.text, column->before.size);
    }
    if (column->time && !is_missing(value)) {
        if (output->encoding == AS_JSONL) {
            out->at[out->used++] = '"';
        }
        Status status = put_time(value, column->time, out);
        if (output->encoding == AS_JSONL) {
            out->at[out->used++] = '"';
        }
        return status;
    }
    switch (output->encoding) {
    case AS_CSV:
        return put_csv(output, value, from, out);
    case AS_JSONL:
        return put_json(output, column, value, from, out);
    default:
        if (is_missing(value)) {
            /* The value may be a constant, not a part of the data. */
            out->at[out->used++] = '-';
        } else {
            put_short(out, value, output->data + output->length);
        }
        return DONE;
    }
}

static Status put_line(const Output *output, size_t begin, Buffer *out)
{
    static const byte missing[] = {'-'};
    const size_t first = out->used;
    for (size_t i = 0; i < output->count; i++) {
        const Column *column = &output->columns[i];
        size_t from = begin;
        Text value = {missing, 1};
        if (column->place >= 0) {
            from = output->at[column->place];
            value = (Text){output->data + from, output->at[column->place + 1] - from - 1};
        }
        Status status = put_column(output, column, value, from, out);
        if (UNLIKELY(status)) {
            return status;
        }
        if (output->encoding != AS_JSONL) {
            out->at[out->used++] = output->out_separator;
        }
    }
    if (output->encoding == AS_JSONL) {
        out->at[out->used++] = '}';
        out->at[out->used++] = '\n';
        return DONE;
    }
    if (output->encoding == AS_CSV && out->used == first + 1) {
        /* An empty line would not be a row. */
        out->at[first] = out->at[first + 1] = '"';
        out->used += 2;
    }
    out->at[out->used - 1] = '\n';
    return DONE;
}

/* `whole` says whether each line has as many values as the output has columns, and a newline. */
static Status put_lines(Output *output, Buffer *out, bool *whole)
{
    const byte *data = output->data;
    const size_t length = output->length, words = (length + 63) / 64;
    find_either(output->ends, data, length, output->separator, '\n');
    if (output->encoding == AS_CSV) {
        find_either(output->special, data, length, ',', '"');
    } else if (output->encoding == AS_JSONL) {
        find_either(output->special, data, length, '"', '\\');
    }
    size_t begin = 0, word = 0;
    uint64_t ends = length ? output->ends[0] : 0;
    *whole = true;
    while (begin < length) {
        size_t values = 0, end;
        output->at[0] = begin;
        for (;;) {
            while (!ends && word + 1 < words) {
                ends = output->ends[++word];
            }
            /* The last line may have no newline. */
            end = ends ? word * 64 + lowest(ends) : length;
            ends &= ends - 1;
            values++;
            if (values <= output->width) {
                output->at[values] = end + 1;
            }
            if (end == length || data[end] == '\n') {
                break;
            }
        }
        if (values < output->width) {
            return FEW_VALUES;
        }
        *whole = *whole && values == output->count && end < length;
        if (!output->as_given || output->encoding != AS_TEXT) {
            Status status = put_line(output, begin, out);
            if (status) {
                return status;
            }
        } else {
            /* Only used if a line has more values, or no newline: otherwise the caller returns the data itself. */
            size_t size = output->at[output->count] - 1 - begin;
            if (buffer_room(out, size + 1)) {
                return NO_MEMORY;
            }
            buffer_put(out, data + begin, size);
            out->at[out->used++] = '\n';
        }
        begin = end + 1;
    }
    return DONE;
}

/* Writes what JSON lines have before the value of the column `at`. */
static bool get_json_name(PyObject *name, size_t at, Column *column, Pool *pool)
{
    char *text;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(name, &text, &size) < 0) {
        return false;
    }
    byte *made = pool_get(pool, (size_t)size + 8, 1);
    if (!made) {
        return false;
    }
    size_t used = 0;
    memcpy(made, at ? ", \"" : "{\"", at ? 3 : 2);
    used += at ? 3 : 2;
    memcpy(made + used, text, (size_t)size);
    used += (size_t)size;
    memcpy(made + used, "\": ", 3);
    column->before = (Text){made, used + 3};
    return true;
}

static bool get_time_form(PyObject *form, Column *column)
{
    if (form == Py_None) {
        return true;
    }
    if (PyUnicode_Check(form)) {
        column->time = PyUnicode_CompareWithASCIIString(form, "iso") == 0    ? 'i'
                       : PyUnicode_CompareWithASCIIString(form, "date") == 0 ? 'd'
                                                                            : 0;
    }
    if (!column->time) {
        PyErr_Format(PyExc_ValueError, "times are written as 'iso' or 'date', not %R", form);
    }
    return column->time != 0;
}

static bool get_output_columns(PyObject *given[4], Output *output, Pool *pool)
{
    size_t count = (size_t)PyTuple_Size(given[0]);
    for (int i = 1; i < 4; i++) {
        if ((size_t)PyTuple_Size(given[i]) != count) {
            count = 0;
        }
    }
    if (!count) {
        PyErr_SetString(
            PyExc_ValueError, "names, numbers, places and times must have the same length, and not be empty");
        return false;
    }
    output->count = count;
    output->columns = pool_get(pool, count, sizeof(Column));
    output->as_given = true;
    for (size_t i = 0; output->columns && i < count; i++) {
        Column *column = &output->columns[i];
        PyObject *item[4];
        for (int j = 0; j < 4; j++) {
            item[j] = PyTuple_GetItem(given[j], (Py_ssize_t)i);
        }
        int number = PyObject_IsTrue(item[1]);
        long place = PyLong_AsLong(item[2]);
        if (number < 0 || (place == -1 && PyErr_Occurred())) {
            return false;
        }
        if (place < -1 || place > 1000000) {
            PyErr_SetString(PyExc_ValueError, "a place must be -1 or more");
            return false;
        }
        column->place = (int)place;
        if (!get_json_name(item[0], i, column, pool) || !get_time_form(item[3], column)) {
            return false;
        }
        column->number = number && !column->time;
        output->as_given = output->as_given && !column->time && place == (long)i;
        output->width = place >= 0 && (size_t)place + 1 > output->width ? (size_t)place + 1 : output->width;
    }
    return output->columns != NULL;
}

static bool get_output(PyObject *encoding, PyObject *separator, PyObject *data, Output *output)
{
    static const char names[4][8] = {"text", "tsv", "csv", "jsonl"};
    int found = -1;
    for (int i = 0; i < 4; i++) {
        if (PyUnicode_CompareWithASCIIString(encoding, names[i]) == 0) {
            found = i;
        }
    }
    if (found < 0) {
        PyErr_Format(PyExc_ValueError, "there is no encoding %R", encoding);
        return false;
    }
    output->encoding = (Encoding)found;
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return false;
    }
    char *text;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(separator, &text, &size) < 0) {
        return false;
    }
    if (size != 1 || (text[0] != ' ' && text[0] != '\t')) {
        PyErr_SetString(PyExc_ValueError, "the separator is a space or a tab");
        return false;
    }
    output->separator = (byte)text[0];
    output->out_separator = output->encoding == AS_CSV   ? ','
                            : output->encoding == AS_TSV ? '\t'
                                                         : output->separator;
    output->data = (const byte *)PyBytes_AsString(data);
    output->length = (size_t)PyBytes_Size(data);
    return true;
}

PyDoc_STRVAR(
    encode_doc,
    "encode(encoding, names, numbers, places, times, separator, data) -> bytes\n\n"
    "Columns of lines as text, tsv, csv or jsonl (see pure.encode).");

static PyObject *kernel_encode(PyObject *module, PyObject *args)
{
    PyObject *encoding, *given[4], *tuples[4] = {NULL}, *separator, *data, *result = NULL;
    Output output = {0};
    Pool pool = {0};
    Buffer out = {0};
    (void)module;
    if (!PyArg_ParseTuple(
            args, "UOOOOOO:encode", &encoding, &given[0], &given[1], &given[2], &given[3], &separator, &data)) {
        return NULL;
    }
    bool fine = true;
    for (int i = 0; i < 4 && fine; i++) {
        tuples[i] = PySequence_Tuple(given[i]);
        fine = tuples[i] != NULL;
    }
    fine = fine && get_output(encoding, separator, data, &output) && get_output_columns(tuples, &output, &pool);
    size_t words = output.length / 64 + 2;
    if (fine && (output.ends = pool_get(&pool, words, sizeof(uint64_t))) &&
        (output.special = pool_get(&pool, words, sizeof(uint64_t))) &&
        (output.at = pool_get(&pool, output.width + 2, sizeof(size_t)))) {
        bool whole = false;
        Status status;
        Py_BEGIN_ALLOW_THREADS
        status = put_lines(&output, &out, &whole);
        Py_END_ALLOW_THREADS
        if (status) {
            raise_status(status);
        } else if (whole && output.as_given && output.encoding == AS_TEXT) {
            result = Py_NewRef(data);
        } else {
            result = new_bytes(out.at, out.used);
        }
    }
    for (int i = 0; i < 4; i++) {
        Py_XDECREF(tuples[i]);
    }
    free_memory(out.at);
    pool_free(&pool);
    return result;
}
