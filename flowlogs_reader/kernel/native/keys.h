/* The keys of rows: what a line adds to, and how a value becomes a key. */

#pragma once

#include "addresses.h"
#include "base.h"
#include "bits.h"
#include "lines.h"
#include "memory.h"
#include "table.h"
#include "tests.h"

/* The state of a thread that does not hold the GIL, but may have to take it. */
typedef PyThreadState *Released;

/* Calls pure.network for a text with a slash: it may be a network. */
static Status network_by_python(const Sums *sums, const Key *key, Text value, Buffer *out, Released *released)
{
    Status status = RAISED;
    PyEval_RestoreThread(*released);
    PyObject *given = new_bytes(value.text, value.size);
    PyObject *made = given ? PyObject_CallFunction(sums->network, "OII", given, key->n4, key->n6) : NULL;
    Py_XDECREF(given);
    char *text;
    Py_ssize_t size;
    if (made && PyBytes_AsStringAndSize(made, &text, &size) == 0) {
        status = buffer_room(out, (size_t)size + 1);
        if (!status) {
            buffer_put(out, text, (size_t)size);
        }
    }
    Py_XDECREF(made);
    *released = PyEval_SaveThread();
    return status;
}

static Status put_network(const Sums *sums, const Key *key, Text value, Buffer *out, Released *released)
{
    Wide address;
    Text zone;
    if (buffer_room(out, value.size + 64)) {
        return NO_MEMORY;
    }
    if (memchr(value.text, '/', value.size)) {
        return network_by_python(sums, key, value, out, released);
    }
    if (is_missing(value) || !parse_address(value, &address, &zone)) {
        buffer_put(out, value.text, value.size);
        return DONE;
    }
    unsigned length = address.version == 4 ? key->n4 : key->n6;
    if (length >= (address.version == 4 ? 32U : 128U)) {
        buffer_put(out, value.text, value.size);
        return DONE;
    }
    byte *at = out->at + out->used;
    size_t size;
    if (address.version == 4) {
        uint32_t mask = length ? UINT32_MAX << (32 - length) : 0;
        size = put_v4(at, (uint32_t)address.low & mask);
    } else {
        uint64_t high = length >= 64 ? UINT64_MAX : length ? UINT64_MAX << (64 - length) : 0;
        uint64_t low = length <= 64 ? 0 : UINT64_MAX << (128 - length);
        size = put_v6(at, (Wide){address.high & high, address.low & low, 6}, sums->dotted);
    }
    at[size++] = '/';
    out->used += size + put_number(at + size, length);
    return DONE;
}

static Status put_bucket(const Key *key, Text value, const byte *limit, Buffer *out)
{
    if (buffer_room(out, 32)) {
        return NO_MEMORY;
    }
    if (is_missing(value)) {
        out->at[out->used++] = '-';
        return DONE;
    }
    uint64_t number = number_of(value, limit);
    uint64_t past = (number + key->offset) % key->seconds;
    if (past > number) {
        out->at[out->used++] = '-';
        out->used += put_number(out->at + out->used, past - number);
    } else {
        out->used += put_number(out->at + out->used, number - past);
    }
    return DONE;
}

static int compare_pairs(const void *one, const void *other)
{
    return compare_texts(&((const Pair *)one)->from, &((const Pair *)other)->from);
}

static Status put_or_otherwise(const Key *key, Text made, Buffer *out)
{
    made = made.size ? made : key->otherwise;
    if (buffer_room(out, made.size + 1)) {
        return NO_MEMORY;
    }
    buffer_put(out, made.text, made.size);
    return DONE;
}

static Status put_mapped(const Key *key, Text value, Buffer *out)
{
    Pair wanted = {value, {NULL, 0}};
    const Pair *pair = bsearch(&wanted, key->pairs, key->n_pairs, sizeof(Pair), compare_pairs);
    return put_or_otherwise(key, pair ? pair->to : (Text){NULL, 0}, out);
}

static Status put_key(const Sums *sums, const int *places, const Line *line, Buffer *out, Released *released)
{
    for (size_t i = 0; i < sums->n_keys; i++) {
        const Key *key = &sums->keys[i];
        Text value = value_at(line, places[i]);
        Status status = DONE;
        switch (key->kind) {
        case AS_IS:
            status = buffer_room(out, value.size + 1);
            if (!status) {
                buffer_put(out, value.text, value.size);
            }
            break;
        case PREFIX:
            status = put_network(sums, key, value, out, released);
            break;
        case BUCKET:
            status = put_bucket(key, value, line->limit, out);
            break;
        case MAP:
            status = put_mapped(key, value, out);
            break;
        default:
            status = put_or_otherwise(key, label_of(key->labels, value), out);
        }
        if (status || (i + 1 < sums->n_keys && (status = buffer_room(out, 1)))) {
            return status;
        }
        if (i + 1 < sums->n_keys) {
            out->at[out->used++] = ' ';
        }
    }
    return DONE;
}
