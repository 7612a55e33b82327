/* The functions check and keep.

   Lines are kept in runs. If all lines are kept, nothing is copied. */

#pragma once

#include "base.h"
#include "compile_tests.h"
#include "lines.h"
#include "memory.h"
#include "tests.h"

/* A run of the data, or of repaired lines. */
typedef struct {
    bool as_given;
    size_t begin, size;
} Run;

typedef struct {
    Buffer runs;      /* of Run */
    Buffer repaired;  /* lines */
    size_t total;
    size_t lines;
} Kept;

static Status kept_add(Kept *kept, bool as_given, size_t begin, size_t size)
{
    Run *last = kept->runs.used ? (Run *)(void *)(kept->runs.at + kept->runs.used) - 1 : NULL;
    kept->total += size;
    if (last && last->as_given == as_given && last->begin + last->size == begin) {
        last->size += size;
        return DONE;
    }
    Run run = {as_given, begin, size};
    if (buffer_room(&kept->runs, sizeof(Run))) {
        return NO_MEMORY;
    }
    buffer_put(&kept->runs, &run, sizeof(Run));
    return DONE;
}

static Status keep_lines(Scan *scan, const Selector *selector, Kept *kept)
{
    Line line;
    Outcome outcome;
    /* The last run, of lines in the data, which grows. */
    size_t begin = 0, end = 0;
    while ((outcome = next_line(scan, &line)) == FOUND) {
        if (selector && !passes(selector, &line)) {
            continue;
        }
        kept->lines++;
        if (LIKELY(line.as_given)) {
            size_t at = (size_t)(line.text - scan->data);
            if (UNLIKELY(at != end)) {
                if (end > begin && kept_add(kept, true, begin, end - begin)) {
                    return NO_MEMORY;
                }
                begin = at;
            }
            end = at + line.size;
            continue;
        }
        if ((end > begin && kept_add(kept, true, begin, end - begin)) ||
            kept_add(kept, false, kept->repaired.used, line.size) || buffer_room(&kept->repaired, line.size)) {
            return NO_MEMORY;
        }
        begin = end = scan->at;
        buffer_put(&kept->repaired, line.text, line.size);
    }
    if (outcome == OUT_OF_MEMORY || (end > begin && kept_add(kept, true, begin, end - begin))) {
        return NO_MEMORY;
    }
    return DONE;
}

static void copy_kept(const Scan *scan, const Kept *kept, byte *out)
{
    const Run *runs = (const Run *)(const void *)kept->runs.at;
    for (size_t i = 0; i < kept->runs.used / sizeof(Run); i++) {
        memcpy(out, (runs[i].as_given ? scan->data : kept->repaired.at) + runs[i].begin, runs[i].size);
        out += runs[i].size;
    }
}

/* The lines that are kept, as a new reference to bytes, and their number. */
static PyObject *kept_bytes(Scan *scan, const Selector *selector, PyObject *data, size_t *lines)
{
    Kept kept = {0};
    PyObject *result = NULL;
    Status status;
    Py_BEGIN_ALLOW_THREADS
    status = keep_lines(scan, selector, &kept);
    Py_END_ALLOW_THREADS
    bool one_run = kept.runs.used == sizeof(Run) && ((Run *)(void *)kept.runs.at)->as_given;
    if (status) {
        raise_status(status);
    } else if (kept.total == scan->length && (one_run || !kept.total)) {
        result = Py_NewRef(data);
    } else if ((result = new_bytes(NULL, kept.total))) {
        byte *out = (byte *)PyBytes_AsString(result);
        Py_BEGIN_ALLOW_THREADS
        copy_kept(scan, &kept, out);
        Py_END_ALLOW_THREADS
    }
    free_memory(kept.runs.at);
    free_memory(kept.repaired.at);
    *lines = kept.lines;
    return result;
}

/* The result: what was found, and the number of lines that the Scan skipped. */
static PyObject *with_skipped(PyObject *result, const Scan *scan)
{
    return result ? Py_BuildValue("(Nn)", result, (Py_ssize_t)scan->skipped) : NULL;
}

PyDoc_STRVAR(check_doc, "check(kinds, data) -> (data, skipped)\n\nThe canonical lines of data (see pure.check).");

static PyObject *kernel_check(PyObject *module, PyObject *args)
{
    PyObject *kinds, *data;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:check", &kinds, &data)) {
        return NULL;
    }
    Scan *scan = scan_new(kinds, data);
    if (!scan) {
        return NULL;
    }
    size_t lines;
    PyObject *result = with_skipped(kept_bytes(scan, NULL, data, &lines), scan);
    scan_free(scan);
    return result;
}

PyDoc_STRVAR(
    keep_doc,
    "keep(kinds, tests, window, data) -> (data, kept, skipped)\n\nThe canonical lines that pass (see pure.keep).");

static PyObject *kernel_keep(PyObject *module, PyObject *args)
{
    PyObject *kinds, *tests, *window, *data, *result = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO:keep", &kinds, &tests, &window, &data)) {
        return NULL;
    }
    Scan *scan = scan_new(kinds, data);
    if (!scan) {
        return NULL;
    }
    Selector selector = {0};
    if (get_selector(tests, window, scan, &selector)) {
        size_t lines;
        PyObject *kept = kept_bytes(scan, &selector, data, &lines);
        result = kept ? Py_BuildValue("(Nnn)", kept, (Py_ssize_t)lines, (Py_ssize_t)scan->skipped) : NULL;
    }
    pool_free(&selector.pool);
    scan_free(scan);
    return result;
}
