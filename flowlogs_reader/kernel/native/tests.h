/* Tests of lines, and windows of time. */

#pragma once

#include "addresses.h"
#include "bits.h"
#include "lines.h"
#include "memory.h"
#include "places.h"

typedef enum { TEXT, NUMBER, FLAGS, ADDRESS, SAME } TestKind;
typedef enum { EQ, NE, LT, LE, GT, GE } Operator;

typedef struct {
    Wide first, last;
} Range;

/* What the addresses of a range are called. */
typedef struct {
    Wide first, last;
    Text text;
} Label;

typedef struct {
    Label *each;  /* sorted, without overlaps */
    size_t count;
} Labels;

typedef struct {
    TestKind kind;
    bool negated, missing;
    Places places;
    Text *texts;
    size_t n_texts;
    Range *ranges;
    size_t n_ranges;
    bool possible;  /* the mask of flags fits in 64 bits */
    uint64_t mask;
    int other;
    Operator operator;
    bool addresses, numbers, labelled;
    Labels labels;
} Test;

/* Compiled tests, in a capsule of this name. They never change. */
typedef struct {
    Pool pool;
    Test *tests;
    size_t n_tests;
    PyObject *kinds;
    PyObject *given;  /* owns the texts */
} Compiled;

static const char COMPILED[] = "flowlogs_reader.kernel._native.Tests";

typedef struct {
    Pool pool;
    const Test *tests;
    size_t n_tests;
    bool windowed, timeless;
    int start, end;
    int64_t low, high;
} Selector;

static int compare_texts(const void *one, const void *other)
{
    const Text *a = one, *b = other;
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    return memcmp(a->text, b->text, a->size);
}

static int compare_ranges(const void *one, const void *other)
{
    return compare_wide(((const Range *)one)->first, ((const Range *)other)->first);
}

/* Sorts ranges and joins those that overlap, so that at most one contains a value. */
static size_t merge_ranges(Range *ranges, size_t count)
{
    if (count < 2) {
        return count;
    }
    qsort(ranges, count, sizeof(Range), compare_ranges);
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        if (compare_wide(ranges[i].first, ranges[last].last) <= 0) {
            if (compare_wide(ranges[i].last, ranges[last].last) > 0) {
                ranges[last].last = ranges[i].last;
            }
        } else {
            ranges[++last] = ranges[i];
        }
    }
    return last + 1;
}

static bool in_ranges(const Range *ranges, size_t count, Wide value)
{
    while (count) {
        size_t half = count / 2;
        if (compare_wide(value, ranges[half].first) < 0) {
            count = half;
        } else if (compare_wide(value, ranges[half].last) <= 0) {
            return true;
        } else {
            ranges += half + 1;
            count -= half + 1;
        }
    }
    return false;
}

static int compare_labels(const void *one, const void *other)
{
    return compare_wide(((const Label *)one)->first, ((const Label *)other)->first);
}

/* The label of a text: without any text if it is not an address, or in none of the ranges. */
static Text label_of(Labels labels, Text value)
{
    Wide address;
    Text zone;
    const Label *each = labels.each;
    size_t count = !is_missing(value) && parse_address(value, &address, &zone) ? labels.count : 0;
    while (count) {
        size_t half = count / 2;
        if (compare_wide(address, each[half].first) < 0) {
            count = half;
        } else if (compare_wide(address, each[half].last) <= 0) {
            return each[half].text;
        } else {
            each += half + 1;
            count -= half + 1;
        }
    }
    return (Text){NULL, 0};
}

static bool in_texts(const Test *test, Text value)
{
    if (test->n_texts <= 4) {
        for (size_t i = 0; i < test->n_texts; i++) {
            if (same_text(test->texts[i], value)) {
                return true;
            }
        }
        return false;
    }
    return bsearch(&value, test->texts, test->n_texts, sizeof(Text), compare_texts) != NULL;
}

static int compare_values(Text one, Text other, bool by_length)
{
    if (by_length && one.size != other.size) {
        return one.size < other.size ? -1 : 1;
    }
    size_t shorter = one.size < other.size ? one.size : other.size;
    int order = memcmp(one.text, other.text, shorter);
    return order ? order : one.size < other.size ? -1 : one.size > other.size;
}

static bool compares(const Test *test, Text one, Text other)
{
    int order;
    Wide first, second;
    Text zone, other_zone;
    if (test->labelled) {
        one = label_of(test->labels, one);
        other = label_of(test->labels, other);
        bool known = one.size && other.size && !is_missing(one) && !is_missing(other);
        return known ? same_text(one, other) == (test->operator == EQ) : test->missing;
    }
    if (test->addresses && parse_address(one, &first, &zone) && parse_address(other, &second, &other_zone)) {
        order = compare_wide(first, second);
        order = order ? order : compare_values(zone, other_zone, false);
    } else {
        order = compare_values(one, other, test->numbers);
    }
    switch (test->operator) {
    case EQ:
        return order == 0;
    case NE:
        return order != 0;
    case LT:
        return order < 0;
    case LE:
        return order <= 0;
    case GT:
        return order > 0;
    default:
        return order >= 0;
    }
}

static bool matches(const Test *test, Text value, const Line *line)
{
    if (is_missing(value)) {
        return test->missing;
    }
    switch (test->kind) {
    case TEXT:
        return in_texts(test, value);
    case NUMBER:
        return in_ranges(test->ranges, test->n_ranges, (Wide){0, number_of(value, line->limit), 0});
    case FLAGS:
        return test->possible && (number_of(value, line->limit) & test->mask) == test->mask;
    case ADDRESS: {
        Wide address;
        Text zone;
        return parse_address(value, &address, &zone) && in_ranges(test->ranges, test->n_ranges, address);
    }
    default: {
        Text other = value_at(line, test->other);
        return is_missing(other) ? test->missing : compares(test, value, other);
    }
    }
}

static bool passes(const Selector *selector, const Line *line)
{
    for (size_t i = 0; i < selector->n_tests; i++) {
        const Test *test = &selector->tests[i];
        bool met = false;
        for (size_t j = 0; j < test->places.count && !met; j++) {
            met = matches(test, value_at(line, test->places.at[j]), line);
        }
        if (met == test->negated) {
            return false;
        }
    }
    if (selector->windowed) {
        Text time = value_at(line, selector->start);
        if (is_missing(time)) {
            time = value_at(line, selector->end);
        }
        if (is_missing(time)) {
            return selector->timeless;
        }
        int64_t seconds = (int64_t)number_of(time, line->limit);
        return selector->low <= seconds && seconds < selector->high;
    }
    return true;
}
