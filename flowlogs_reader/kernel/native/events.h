/* Events of CloudWatch Logs.

   An event page is parsed as strict JSON. pure.find_events reads pages with anything unusual: other spellings of
   numbers, members that occur twice, events that are not in order, text that is not UTF-8, and what is not JSON. */

#pragma once

#include "base.h"
#include "bits.h"
#include "byte_classes.h"
#include "memory.h"

enum { MAX_DEPTH = 64, TIME_DIGITS = 14 };

typedef struct {
    const byte *at, *end;
    Buffer lines, ids;
    bool any;
    uint64_t first, last;
    size_t last_count;
    bool has_events, has_token;
    Text token;
    bool no_memory;
} Body;

INLINE void skip_space(Body *body)
{
    while (body->at < body->end &&
           (*body->at == ' ' || *body->at == '\n' || *body->at == '\r' || *body->at == '\t')) {
        body->at++;
    }
}

/* Reads a given character, after white space. */
INLINE bool take(Body *body, byte what)
{
    if (LIKELY(body->at < body->end && *body->at == what)) {
        body->at++;
        return true;
    }
    skip_space(body);
    if (body->at < body->end && *body->at == what) {
        body->at++;
        return true;
    }
    return false;
}

/* The next byte that is a quote, a backslash, a control character, or not ASCII. */
INLINE const byte *plain_end(const byte *at, const byte *end)
{
#ifdef KERNEL_SSE2
    for (; end - at >= 16; at += 16) {
        __m128i text = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i stops = _mm_or_si128(
            _mm_cmplt_epi8(text, _mm_set1_epi8(0x20)),
            _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('"')), _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'))));
        unsigned found = (unsigned)_mm_movemask_epi8(stops);
        if (found) {
            return at + lowest(found);
        }
    }
#else
    for (; end - at >= 8; at += 8) {
        uint64_t text = load8(at);
        uint64_t plain = between8(text, 0x20, 0x7e) & ~equal8(text, '"') & ~equal8(text, '\\');
        if (plain != HIGH) {
            break;
        }
    }
#endif
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/* The length of the UTF-8 sequence that begins here, or 0 if it is not valid. */
static size_t utf8_size(const byte *at, const byte *end)
{
    byte first = at[0];
    size_t size = 0;
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        size = 3;
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
    }
    if (!size || (size_t)(end - at) < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, and code points above 0x10ffff are not valid. */
    bool wrong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
                 (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f);
    return wrong ? 0 : size;
}

static bool hex_four(const byte *at, const byte *end, uint32_t *value)
{
    if (end - at < 4) {
        return false;
    }
    *value = 0;
    for (int i = 0; i < 4; i++) {
        byte c = at[i], lower = c | 0x20;
        if (!is_digit(c) && (lower < 'a' || lower > 'f')) {
            return false;
        }
        *value = *value << 4 | (uint32_t)(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    return true;
}

static size_t put_utf8(byte *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (byte)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (byte)(0xc0 | code >> 6);
        out[1] = (byte)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (byte)(0xe0 | code >> 12);
        out[1] = (byte)(0x80 | (code >> 6 & 0x3f));
        out[2] = (byte)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (byte)(0xf0 | code >> 18);
    out[1] = (byte)(0x80 | (code >> 12 & 0x3f));
    out[2] = (byte)(0x80 | (code >> 6 & 0x3f));
    out[3] = (byte)(0x80 | (code & 0x3f));
    return 4;
}

/* Reads an escape sequence: a backslash and what follows. It becomes at most 4 bytes of text. A newline becomes a
   space; half of a pair of surrogates becomes a question mark, as with Python's 'replace'. */
static bool take_escape(Body *body, byte *out, size_t *size)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f \r\t";
    const byte *at = body->at + 1;
    if (at >= body->end) {
        return false;
    }
    if (*at != 'u') {
        const char *letter = *at ? strchr(letters, *at) : NULL;
        if (!letter) {
            return false;
        }
        *out = (byte)meant[letter - letters];
        *size = 1;
        body->at = at + 1;
        return true;
    }
    uint32_t code, low;
    if (!hex_four(at + 1, body->end, &code)) {
        return false;
    }
    at += 5;
    if (code >= 0xd800 && code < 0xdc00 && body->end - at >= 6 && at[0] == '\\' && at[1] == 'u' &&
        hex_four(at + 2, body->end, &low) && low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
    }
    code = code == '\n' ? ' ' : code >= 0xd800 && code < 0xe000 ? '?' : code;
    *size = put_utf8(out, code);
    body->at = at;
    return true;
}

/* Reads the rest of a string, after its first quote, and writes it to `out` if that is not NULL. */
static bool take_string(Body *body, Buffer *out)
{
    for (;;) {
        const byte *stop = plain_end(body->at, body->end);
        size_t size = (size_t)(stop - body->at);
        if (stop >= body->end) {
            return false;
        }
        if (out) {
            if (buffer_room(out, size + 8)) {
                body->no_memory = true;
                return false;
            }
            buffer_put(out, body->at, size);
        }
        body->at = stop;
        byte made[4];
        if (*stop == '"') {
            body->at++;
            return true;
        }
        if (*stop == '\\') {
            if (!take_escape(body, made, &size)) {
                return false;
            }
            if (out) {
                buffer_put(out, made, size);
            }
            continue;
        }
        size = *stop < 0x80 ? 0 : utf8_size(stop, body->end);
        if (!size) {
            return false;
        }
        if (out) {
            buffer_put(out, stop, size);
        }
        body->at += size;
    }
}

/* Reads the rest of a string without escape sequences, after its first quote. */
INLINE bool take_plain(Body *body, Text *text)
{
    const byte *stop = plain_end(body->at, body->end);
    if (stop >= body->end || *stop != '"') {
        return false;
    }
    *text = (Text){body->at, (size_t)(stop - body->at)};
    body->at = stop + 1;
    return true;
}

/* Reads the name of a member, and the colon. */
INLINE bool take_name(Body *body, Text *name)
{
    return take(body, '"') && take_plain(body, name) && take(body, ':');
}

static bool take_digits(Body *body, size_t most)
{
    const byte *begin = body->at;
    while (body->at < body->end && is_digit(*body->at)) {
        body->at++;
    }
    return body->at > begin && (size_t)(body->at - begin) <= most;
}

/* Reads a number. Python refuses integers of thousands of digits, so pure.find_events reads long ones. */
static bool skip_number(Body *body)
{
    if (body->at < body->end && *body->at == '-') {
        body->at++;
    }
    if (body->at < body->end && *body->at == '0') {
        body->at++;
    } else if (!take_digits(body, 400)) {
        return false;
    }
    if (body->at < body->end && *body->at == '.') {
        body->at++;
        if (!take_digits(body, 400)) {
            return false;
        }
    }
    if (body->at < body->end && (*body->at | 0x20) == 'e') {
        body->at++;
        if (body->at < body->end && (*body->at == '+' || *body->at == '-')) {
            body->at++;
        }
        return take_digits(body, 400);
    }
    return true;
}

static bool skip_word(Body *body, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(body->end - body->at) < size || memcmp(body->at, word, size) != 0) {
        return false;
    }
    body->at += size;
    return true;
}

/* Reads a string, number, true, false or null. */
static bool skip_simple(Body *body)
{
    if (body->at >= body->end) {
        return false;
    }
    switch (*body->at) {
    case '"':
        body->at++;
        return take_string(body, NULL);
    case 't':
        return skip_word(body, "true");
    case 'f':
        return skip_word(body, "false");
    case 'n':
        return skip_word(body, "null");
    default:
        return skip_number(body);
    }
}

/* Reads any value, without recursion: one bit for each open array or object says which of the two it is. */
static bool skip_value(Body *body)
{
    uint64_t objects = 0;
    int depth = 0;
    bool value = true;  /* whether a value comes next, or the end of one has been reached */
    for (;;) {
        skip_space(body);
        if (value) {
            if (body->at < body->end && (*body->at == '{' || *body->at == '[')) {
                bool object = *body->at == '{';
                if (depth == MAX_DEPTH) {
                    return false;
                }
                objects = objects << 1 | object;
                depth++;
                body->at++;
                if (take(body, object ? '}' : ']')) {
                    objects >>= 1;
                    depth--;
                    value = false;
                } else if (object && !(take(body, '"') && take_string(body, NULL) && take(body, ':'))) {
                    return false;
                }
            } else if (skip_simple(body)) {
                value = false;
            } else {
                return false;
            }
        } else if (!depth) {
            return true;
        } else if (take(body, ',')) {
            if ((objects & 1) && !(take(body, '"') && take_string(body, NULL) && take(body, ':'))) {
                return false;
            }
            value = true;
        } else if (take(body, objects & 1 ? '}' : ']')) {
            objects >>= 1;
            depth--;
        } else {
            return false;
        }
    }
}

INLINE bool is_name(Text name, const char *word, size_t size)
{
    return name.size == size && memcmp(name.text, word, size) == 0;
}

INLINE bool take_timestamp(Body *body, uint64_t *time)
{
    skip_space(body);
    const byte *begin = body->at;
    if (!take_digits(body, TIME_DIGITS) || (*begin == '0' && body->at - begin > 1)) {
        return false;
    }
    if (body->at < body->end && (*body->at == '.' || (*body->at | 0x20) == 'e')) {
        return false;
    }
    *time = number_of((Text){begin, (size_t)(body->at - begin)}, body->end);
    return true;
}

/* Reads an event, after its first brace. */
static bool take_event(Body *body)
{
    enum { MESSAGE = 1, TIME = 2, ID = 4 };
    unsigned seen = 0;
    uint64_t time = 0;
    Text name, id = {body->at, 0};
    do {
        unsigned member = 0;
        if (!take_name(body, &name)) {
            return false;
        }
        if (is_name(name, "message", 7)) {
            member = MESSAGE;
            if (!take(body, '"') || !take_string(body, &body->lines)) {
                return false;
            }
        } else if (is_name(name, "timestamp", 9)) {
            member = TIME;
            if (!take_timestamp(body, &time)) {
                return false;
            }
        } else if (is_name(name, "eventId", 7)) {
            member = ID;
            if (!take(body, '"') || !take_plain(body, &id)) {
                return false;
            }
        } else if (!skip_value(body)) {
            return false;
        }
        if (seen & member) {
            return false;
        }
        seen |= member;
    } while (take(body, ','));
    if (!take(body, '}') || !(seen & MESSAGE) || (body->any && time < body->last)) {
        return false;
    }
    if (buffer_room(&body->lines, 1) || buffer_room(&body->ids, id.size + 1)) {
        body->no_memory = true;
        return false;
    }
    body->lines.at[body->lines.used++] = '\n';
    buffer_put(&body->ids, id.text, id.size);
    body->ids.at[body->ids.used++] = '\n';
    if (!body->any) {
        body->first = time;
    }
    body->last_count = body->any && time == body->last ? body->last_count + 1 : 1;
    body->last = time;
    body->any = true;
    return true;
}

static bool take_events(Body *body)
{
    if (body->has_events || !take(body, '[')) {
        return false;
    }
    body->has_events = true;
    if (take(body, ']')) {
        return true;
    }
    do {
        if (!take(body, '{') || !take_event(body)) {
            return false;
        }
    } while (take(body, ','));
    return take(body, ']');
}

static bool take_token(Body *body)
{
    if (body->has_token) {
        return false;
    }
    body->has_token = true;
    if (take(body, '"')) {
        return take_plain(body, &body->token);
    }
    body->token.text = NULL;
    return skip_word(body, "null");
}

/* Reads a whole event page. Returns false if it has anything unusual. */
static bool take_body(Body *body)
{
    Text name;
    if (!take(body, '{')) {
        return false;
    }
    do {
        if (!take_name(body, &name)) {
            return false;
        }
        bool fine = is_name(name, "events", 6)      ? take_events(body)
                    : is_name(name, "nextToken", 9) ? take_token(body)
                                                    : skip_value(body);
        if (!fine) {
            return false;
        }
    } while (take(body, ','));
    if (!take(body, '}') || !body->has_events) {
        return false;
    }
    skip_space(body);
    return body->at == body->end;
}

static PyObject *number_or_none(bool known, uint64_t number)
{
    return known ? PyLong_FromUnsignedLongLong(number) : Py_NewRef(Py_None);
}

static PyObject *events_found(const Body *body)
{
    PyObject *token = body->token.text
                          ? PyUnicode_DecodeUTF8((const char *)body->token.text, (Py_ssize_t)body->token.size, NULL)
                          : Py_NewRef(Py_None);
    return Py_BuildValue(
        "(NNNNnNN)", new_bytes(body->lines.at, body->lines.used), new_bytes(body->ids.at, body->ids.used),
        number_or_none(body->any, body->first), number_or_none(body->any, body->last), (Py_ssize_t)body->last_count,
        PyBool_FromLong(1), token);
}

PyDoc_STRVAR(
    find_events_doc,
    "find_events(body) -> (lines, ids, first, last, last_count, in_order, token) or None\n\n"
    "The events of a FilterLogEvents response (see pure.find_events).");

static PyObject *kernel_find_events(PyObject *module, PyObject *data)
{
    (void)module;
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return NULL;
    }
    Body body = {0};
    PyObject *result = NULL;
    bool fine;
    body.at = (const byte *)PyBytes_AsString(data);
    body.end = body.at + PyBytes_Size(data);
    Py_BEGIN_ALLOW_THREADS
    fine = take_body(&body);
    Py_END_ALLOW_THREADS
    if (fine) {
        result = events_found(&body);
    } else if (body.no_memory) {
        PyErr_NoMemory();
    }
    free_memory(body.lines.at);
    free_memory(body.ids.at);
    if (fine || body.no_memory) {
        return result;
    }
    PyObject *pure = PyImport_ImportModule("flowlogs_reader.kernel.pure");
    if (pure) {
        result = PyObject_CallMethod(pure, "find_events", "O", data);
        Py_DECREF(pure);
    }
    return result;
}

#ifdef KERNEL_TEST_ALLOC
/* Makes an allocation fail, after that many others; -1: none fails. */
static PyObject *kernel_fail_in(PyObject *module, PyObject *count)
{
    (void)module;
    fail_in = PyLong_AsLong(count);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *kernel_alive(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return PyLong_FromLong(alive);
}
#endif
