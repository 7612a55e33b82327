/* The work that is done for each record, in C. The folder pure/ is the reference: same names, arguments and results.

   Rules of this file: no global state; no recursion over input; every read is inside the buffer; every size is checked
   for overflow and every allocation for failure. The GIL is released around the loops over data; before such a
   loop, the contents of Python objects are copied into C structures. No format of the C API has a #: with the headers
   of Python 3.13 the result would fail in 3.12 and older.

   Sections:

   tools            results and errors, memory, bits and numbers, classes of bytes
   lines            reads lines, and makes them canonical
   selection        addresses, places, tests and windows
   functions        check and keep, columns, values of records, header rows, lines with a text
   sums             the table, keys, adding, rows, making a table
   encode           output
   find_events      events of CloudWatch Logs
   module */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030a0000
#endif
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(KERNEL_NO_SIMD) && (defined(__SSE2__) || defined(_M_X64))
#define KERNEL_SSE2
#include <emmintrin.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#define INLINE static __forceinline
#define NOINLINE static __declspec(noinline)
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#define PREFETCH(p) ((void)0)
#else
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PREFETCH(p) __builtin_prefetch(p)
#endif

typedef uint8_t byte;

enum { MAX_FIELDS = 256, MAX_LINE = 65536, MAX_DIGITS = 19 };
#define MAX_SECONDS UINT64_C(2147483647)

/* --- results and errors ------------------------------------------------------------------------------------------- */

/* The result of a function that may run without the GIL: raise_status makes an exception of it later. */
typedef enum {
    DONE = 0,
    NO_MEMORY,
    TOO_LARGE,  /* a sum, a table, or what lines_with finds */
    FEW_VALUES,
    NOT_A_TIME,
    RAISED,  /* an exception is set already */
} Status;

static void raise_status(Status status)
{
    switch (status) {
    case NO_MEMORY:
        PyErr_NoMemory();
        break;
    case TOO_LARGE:
        PyErr_SetString(PyExc_OverflowError, "a sum has more than 96 bits, or a table more than 32 GB");
        break;
    case FEW_VALUES:
        PyErr_SetString(PyExc_ValueError, "a line has too few values");
        break;
    case NOT_A_TIME:
        PyErr_SetString(PyExc_ValueError, "a value is not a time, or out of the range of dates");
        break;
    case DONE:
    case RAISED:
        break;
    }
}

/* --- memory ---------------------------------------------------------------------------------------------------------

   In a test build, the n-th allocation can be made to fail, and allocations that are not freed are counted. */

#ifdef KERNEL_TEST_ALLOC
static long fail_in = -1;
static long alive = 0;

static bool must_fail(void)
{
    return fail_in >= 0 && fail_in-- == 0;
}

static void *get_memory(size_t size)
{
    void *got = must_fail() ? NULL : malloc(size ? size : 1);
    alive += got != NULL;
    return got;
}

static void *get_zeros(size_t count, size_t size)
{
    void *got = must_fail() ? NULL : calloc(count ? count : 1, size);
    alive += got != NULL;
    return got;
}

static void *grow_memory(void *old, size_t size)
{
    void *got = must_fail() ? NULL : realloc(old, size ? size : 1);
    alive += got != NULL && old == NULL;
    return got;
}

static void free_memory(void *old)
{
    alive -= old != NULL;
    free(old);
}
#else
INLINE void *get_memory(size_t size)
{
    return malloc(size ? size : 1);
}

INLINE void *get_zeros(size_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

INLINE void *grow_memory(void *old, size_t size)
{
    return realloc(old, size ? size : 1);
}

INLINE void free_memory(void *old)
{
    free(old);
}
#endif

/* Python objects are allocated in the same way, so that these failures are tested too. */
static PyObject *new_bytes(const void *text, size_t size)
{
    if (size > (size_t)PY_SSIZE_T_MAX) {
        return PyErr_NoMemory();
    }
#ifdef KERNEL_TEST_ALLOC
    if (must_fail()) {
        return PyErr_NoMemory();
    }
#endif
    return PyBytes_FromStringAndSize(text, (Py_ssize_t)size);
}

/* A buffer of bytes that grows. */
typedef struct {
    byte *at;
    size_t used, size;
} Buffer;

NOINLINE Status buffer_grow(Buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 2 - buffer->used) {
        return NO_MEMORY;
    }
    size_t size = buffer->used + more;
    size_t doubled = buffer->size > SIZE_MAX / 4 ? size : buffer->size * 2;
    size = size < doubled ? doubled : size;
    size = size < 256 ? 256 : size;
    byte *at = grow_memory(buffer->at, size);
    if (!at) {
        return NO_MEMORY;
    }
    buffer->at = at;
    buffer->size = size;
    return DONE;
}

/* Makes room for `more` bytes at the end. */
INLINE Status buffer_room(Buffer *buffer, size_t more)
{
    return LIKELY(buffer->size - buffer->used >= more) ? DONE : buffer_grow(buffer, more);
}

INLINE void buffer_put(Buffer *buffer, const void *text, size_t size)
{
    memcpy(buffer->at + buffer->used, text, size);
    buffer->used += size;
}

/* A list of allocations that are freed together. */
typedef struct Piece {
    struct Piece *next;
} Piece;

typedef struct {
    Piece *pieces;
} Pool;

/* Returns zeroed memory, or NULL with a MemoryError set. */
static void *pool_get(Pool *pool, size_t count, size_t size)
{
    if (size && count > (SIZE_MAX / 2 - sizeof(Piece) * 2) / size) {
        return PyErr_NoMemory();
    }
    Piece *piece = get_zeros(1, sizeof(Piece) * 2 + count * size);
    if (!piece) {
        return PyErr_NoMemory();
    }
    piece->next = pool->pieces;
    pool->pieces = piece;
    return piece + 2;
}

static void pool_free(Pool *pool)
{
    while (pool->pieces) {
        Piece *next = pool->pieces->next;
        free_memory(pool->pieces);
        pool->pieces = next;
    }
}

/* --- bits and numbers --------------------------------------------------------------------------------------------- */

/* The index of the lowest bit that is set. */
INLINE unsigned lowest(uint64_t bits)
{
#if defined(_MSC_VER)
    unsigned long at;
    _BitScanForward64(&at, bits);
    return at;
#else
    return (unsigned)__builtin_ctzll(bits);
#endif
}

/* Eight bytes as a number with the first byte lowest, on machines of any byte order. */
INLINE uint64_t load8(const byte *at)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
#else
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
#endif
}

typedef struct {
    const byte *text;
    size_t size;
} Text;

INLINE bool same_text(Text one, Text other)
{
    return one.size == other.size && (!one.size || memcmp(one.text, other.text, one.size) == 0);
}

INLINE bool is_missing(Text value)
{
    return value.size == 1 && value.text[0] == '-';
}

/* The number in eight digits, with the first one in the lowest byte. Leading zero bytes count as digits 0. */
INLINE uint64_t eight_digits(uint64_t text)
{
    text = (text & UINT64_C(0x0F0F0F0F0F0F0F0F)) * 2561 >> 8;
    text = (text & UINT64_C(0x00FF00FF00FF00FF)) * 6553601 >> 16;
    return (text & UINT64_C(0x0000FFFF0000FFFF)) * UINT64_C(42949672960001) >> 32;
}

/* The number in 1 to 19 digits. Bytes before `limit` may be read. */
INLINE uint64_t number_of(Text value, const byte *limit)
{
    const byte *at = value.text;
    size_t size = value.size;
    uint64_t number = 0;
    if (LIKELY((size_t)(limit - at) >= 8)) {
        size_t head = size & 7;
        if (head) {
            number = eight_digits(load8(at) << (64 - 8 * head));
            at += head;
            size -= head;
        }
        for (; size; size -= 8, at += 8) {
            number = number * 100000000 + eight_digits(load8(at));
        }
        return number;
    }
    for (; size; size--) {
        number = number * 10 + (*at++ - '0');
    }
    return number;
}

/* Writes the decimal digits of a number; returns how many they are. */
INLINE size_t put_number(byte *out, uint64_t number)
{
    byte digits[20];
    size_t count = 0;
    do {
        digits[count++] = (byte)('0' + number % 10);
        number /= 10;
    } while (number);
    for (size_t i = 0; i < count; i++) {
        out[i] = digits[count - 1 - i];
    }
    return count;
}

/* Writes the decimal digits of a number of 96 bits, at most 29; returns how many they are. */
static size_t put_wide_number(byte *out, uint32_t high, uint64_t low)
{
    if (!high) {
        return put_number(out, low);
    }
    /* Long division by 10^9, 32 bits at a time. */
    uint32_t parts[3] = {high, (uint32_t)(low >> 32), (uint32_t)low};
    uint32_t groups[4];
    size_t count = 0;
    while (parts[0] || parts[1] || parts[2]) {
        uint64_t rest = 0;
        for (int i = 0; i < 3; i++) {
            uint64_t part = rest << 32 | parts[i];
            parts[i] = (uint32_t)(part / 1000000000);
            rest = part % 1000000000;
        }
        groups[count++] = (uint32_t)rest;
    }
    size_t size = put_number(out, groups[--count]);
    while (count) {
        uint32_t group = groups[--count];
        for (int i = 8; i >= 0; i--) {
            out[size + (size_t)i] = (byte)('0' + group % 10);
            group /= 10;
        }
        size += 9;
    }
    return size;
}

/* --- classes of bytes ------------------------------------------------------------------------------------------------

   One bit for each byte says whether it ends a value, is not a digit, or is not printable. With SSE2 a few instructions
   classify sixteen bytes; without it, some more classify eight bytes. */

enum { PART = 16384, WORDS = PART / 64 };

typedef struct {
    uint64_t ends[WORDS + 1], nondigits[WORDS + 1], unprintable[WORDS + 1];
    bool any_unprintable;
} Classes;

#ifndef KERNEL_SSE2
#define ONES UINT64_C(0x0101010101010101)
#define HIGH UINT64_C(0x8080808080808080)

/* Sets the high bit of each byte that is equal to `what`. */
INLINE uint64_t equal8(uint64_t word, byte what)
{
    uint64_t differs = word ^ ONES * what;
    return ~(((differs & ~HIGH) + ~HIGH) | differs | ~HIGH);
}

/* Sets the high bit of each byte that is in [from, to], which are both below 0x7f. */
INLINE uint64_t between8(uint64_t word, byte from, byte to)
{
    uint64_t low = word & ~HIGH;
    return (low + ONES * (byte)(0x80 - from)) & ~(low + ONES * (byte)(0x7f - to)) & ~word & HIGH;
}

/* The high bits of eight bytes, as one byte. */
INLINE uint64_t gather8(uint64_t bits)
{
    return (bits >> 7) * UINT64_C(0x0102040810204080) >> 56;
}
#endif

INLINE void classify_64(const byte *at, uint64_t *ends, uint64_t *nondigits, uint64_t *unprintable)
{
    uint64_t end_bits = 0, digit_bits = 0, printable_bits = 0;
#ifdef KERNEL_SSE2
    for (int i = 0; i < 4; i++) {
        __m128i text = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
        __m128i newline = _mm_cmpeq_epi8(text, _mm_set1_epi8('\n'));
        __m128i end = _mm_or_si128(newline, _mm_cmpeq_epi8(text, _mm_set1_epi8(' ')));
        __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
        digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
        __m128i printable = _mm_sub_epi8(text, _mm_set1_epi8(0x20));
        printable = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(printable, _mm_set1_epi8(0x5e)), printable), newline);
        end_bits |= (uint64_t)(unsigned)_mm_movemask_epi8(end) << 16 * i;
        digit_bits |= (uint64_t)(unsigned)_mm_movemask_epi8(digit) << 16 * i;
        printable_bits |= (uint64_t)(unsigned)_mm_movemask_epi8(printable) << 16 * i;
    }
#else
    for (int i = 0; i < 8; i++) {
        uint64_t text = load8(at + 8 * i);
        uint64_t newline = equal8(text, '\n');
        end_bits |= gather8(newline | equal8(text, ' ')) << 8 * i;
        digit_bits |= gather8(between8(text, '0', '9')) << 8 * i;
        printable_bits |= gather8(newline | between8(text, 0x20, 0x7e)) << 8 * i;
    }
#endif
    *ends = end_bits;
    *nondigits = ~digit_bits;
    *unprintable = ~printable_bits;
}

/* `size` is at most PART. */
static void classify(Classes *classes, const byte *at, size_t size)
{
    uint64_t any = 0;
    size_t word = 0;
    for (; size >= 64; size -= 64, at += 64, word++) {
        classify_64(at, &classes->ends[word], &classes->nondigits[word], &classes->unprintable[word]);
        any |= classes->unprintable[word];
    }
    if (size) {
        byte padded[64] = {0};
        memcpy(padded, at, size);
        uint64_t inside = (UINT64_C(1) << size) - 1;
        classify_64(padded, &classes->ends[word], &classes->nondigits[word], &classes->unprintable[word]);
        classes->ends[word] &= inside;
        classes->unprintable[word] &= inside;
        any |= classes->unprintable[word];
        word++;
    }
    classes->ends[word] = classes->unprintable[word] = 0;
    classes->nondigits[word] = ~UINT64_C(0);
    classes->any_unprintable = any != 0;
}

/* The 64 bits from the bit `at` on. The array must have a word after the last one with such a bit. */
INLINE uint64_t bits_at(const uint64_t *bits, size_t at)
{
    size_t word = at >> 6, shift = at & 63;
    return bits[word] >> shift | bits[word + 1] << 1 << (63 - shift);
}

static bool any_bits(const uint64_t *bits, size_t begin, size_t end)
{
    for (; begin + 64 <= end; begin += 64) {
        if (bits_at(bits, begin)) {
            return true;
        }
    }
    return begin < end && (bits_at(bits, begin) & ((UINT64_C(1) << (end - begin)) - 1));
}

/* Sets a bit for each byte that is one of two. The array has one word more than these bits need: see bits_at. */
static void find_either(uint64_t *bits, const byte *at, size_t size, byte one, byte other)
{
    for (; size >= 64; size -= 64, at += 64) {
        uint64_t found = 0;
#ifdef KERNEL_SSE2
        for (int i = 0; i < 4; i++) {
            __m128i text = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
            __m128i equal = _mm_or_si128(
                _mm_cmpeq_epi8(text, _mm_set1_epi8((char)one)), _mm_cmpeq_epi8(text, _mm_set1_epi8((char)other)));
            found |= (uint64_t)(unsigned)_mm_movemask_epi8(equal) << 16 * i;
        }
#else
        for (int i = 0; i < 8; i++) {
            uint64_t text = load8(at + 8 * i);
            found |= gather8(equal8(text, one) | equal8(text, other)) << 8 * i;
        }
#endif
        *bits++ = found;
    }
    uint64_t found = 0;
    for (size_t i = 0; i < size; i++) {
        found |= (uint64_t)(at[i] == one || at[i] == other) << i;
    }
    bits[0] = found;
    bits[1] = 0;
}

/* --- lines -----------------------------------------------------------------------------------------------------------

   A Scan returns the canonical form of each line in turn. Nearly all lines are canonical, and are not copied; others
   are made canonical in a buffer that the next line overwrites. */

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

/* --- addresses ---------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t high, low;
    int version;  /* 4 or 6; 0 for numbers */
} Wide;

static int compare_wide(Wide one, Wide other)
{
    if (one.version != other.version) {
        return one.version < other.version ? -1 : 1;
    }
    if (one.high != other.high) {
        return one.high < other.high ? -1 : 1;
    }
    return one.low < other.low ? -1 : one.low > other.low;
}

/* Parses a.b.c.d as Python's ipaddress does: leading zeros are not valid. */
static bool parse_v4(Text text, uint32_t *address)
{
    size_t at = 0;
    uint32_t value = 0;
    for (int part = 0; part < 4; part++) {
        size_t begin = at;
        unsigned octet = 0;
        while (at < text.size && at - begin < 3 && is_digit(text.text[at])) {
            octet = octet * 10 + (unsigned)(text.text[at++] - '0');
        }
        if (at == begin || octet > 255 || (at - begin > 1 && text.text[begin] == '0')) {
            return false;
        }
        if (part < 3 && (at >= text.size || text.text[at++] != '.')) {
            return false;
        }
        value = value << 8 | octet;
    }
    *address = value;
    return at == text.size;
}

/* The parts of an IPv6 address between its colons: at most nine, if one of the outer ones is empty. */
typedef struct {
    uint32_t value[9];
    bool empty[9];
    size_t count;
} Parts;

/* Adds a part of hexadecimal digits; the last one may be a.b.c.d, which counts as two. */
static bool add_part(Parts *parts, Text text, bool last)
{
    uint32_t value = 0;
    if (text.size && memchr(text.text, '.', text.size)) {
        if (!last || parts->count > 7 || !parse_v4(text, &value)) {
            return false;
        }
        parts->value[parts->count] = value >> 16;
        parts->empty[parts->count++] = false;
        value &= 0xffff;
    } else {
        if (parts->count > 8 || text.size > 4) {
            return false;
        }
        for (size_t i = 0; i < text.size; i++) {
            byte c = text.text[i], lower = c | 0x20;
            if (!is_digit(c) && (lower < 'a' || lower > 'f')) {
                return false;
            }
            value = value << 4 | (uint32_t)(is_digit(c) ? c - '0' : lower - 'a' + 10);
        }
    }
    parts->value[parts->count] = value;
    parts->empty[parts->count++] = !text.size;
    return true;
}

/* The eight parts of an address: an empty part in the middle, of '::', stands for zeros. */
static bool expand_parts(const Parts *parts, uint32_t whole[8])
{
    const size_t count = parts->count;
    size_t skip = 0, before = count, after = 0;
    if (count < 3) {
        return false;
    }
    for (size_t i = 1; i + 1 < count; i++) {
        if (parts->empty[i]) {
            if (skip) {
                return false;
            }
            skip = i;
        }
    }
    if (skip) {
        before = skip;
        after = count - skip - 1;
        /* An outer part may be empty only beside the one in the middle, as in '::1'. */
        if ((parts->empty[0] && --before) || (parts->empty[count - 1] && --after) || before + after > 7) {
            return false;
        }
    } else if (count != 8 || parts->empty[0] || parts->empty[7]) {
        return false;
    }
    memset(whole, 0, 8 * sizeof(uint32_t));
    for (size_t i = 0; i < before; i++) {
        whole[i] = parts->value[i];
    }
    for (size_t i = 0; i < after; i++) {
        whole[8 - after + i] = parts->value[count - after + i];
    }
    return true;
}

/* Parses IPv6 as Python's ipaddress does: parts between colons, '::' once, a.b.c.d at the end, a zone after '%'. */
static bool parse_v6(Text text, Wide *address, Text *zone)
{
    const byte *percent = memchr(text.text, '%', text.size);
    *zone = (Text){text.text, 0};
    if (memchr(text.text, '/', text.size)) {
        return false;
    }
    if (percent) {
        size_t size = (size_t)(percent - text.text);
        *zone = (Text){percent + 1, text.size - size - 1};
        if (!zone->size || memchr(zone->text, '%', zone->size)) {
            return false;
        }
        text.size = size;
    }
    Parts parts;
    parts.count = 0;
    for (size_t begin = 0, at = 0; at <= text.size; at++) {
        if (at == text.size || text.text[at] == ':') {
            if (!add_part(&parts, (Text){text.text + begin, at - begin}, at == text.size)) {
                return false;
            }
            begin = at + 1;
        }
    }
    uint32_t whole[8];
    if (!expand_parts(&parts, whole)) {
        return false;
    }
    *address = (Wide){0, 0, 6};
    for (int i = 0; i < 4; i++) {
        address->high = address->high << 16 | whole[i];
        address->low = address->low << 16 | whole[4 + i];
    }
    return true;
}

static bool parse_address(Text text, Wide *address, Text *zone)
{
    uint32_t v4;
    if (parse_v4(text, &v4)) {
        *address = (Wide){0, v4, 4};
        *zone = (Text){text.text, 0};
        return true;
    }
    return parse_v6(text, address, zone);
}

static size_t put_v4(byte *out, uint32_t address)
{
    size_t size = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        size += put_number(out + size, address >> shift & 0xff);
        if (shift) {
            out[size++] = '.';
        }
    }
    return size;
}

static size_t put_hex(byte *out, unsigned part)
{
    size_t size = 0;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = part >> shift & 15;
        if (digit || size || !shift) {
            out[size++] = (byte)"0123456789abcdef"[digit];
        }
    }
    return size;
}

/* Writes IPv6: '::' replaces the longest run of at least two zero parts. At most 39 bytes. */
static size_t put_v6(byte *out, Wide address, bool dotted)
{
    if (dotted && !address.high && address.low >> 32 == 0xffff) {
        memcpy(out, "::ffff:", 7);
        return 7 + put_v4(out + 7, (uint32_t)address.low);
    }
    unsigned parts[8];
    for (int i = 0; i < 4; i++) {
        parts[i] = (unsigned)(address.high >> (48 - 16 * i) & 0xffff);
        parts[4 + i] = (unsigned)(address.low >> (48 - 16 * i) & 0xffff);
    }
    int best = 0, longest = 1;
    for (int i = 0, run = 0; i < 8; i++) {
        run = parts[i] ? 0 : run + 1;
        if (run > longest) {
            longest = run;
            best = i + 1 - run;
        }
    }
    size_t size = 0;
    for (int i = 0; i < 8;) {
        if (longest > 1 && i == best) {
            out[size++] = ':';
            i += longest;
            if (i == 8) {
                out[size++] = ':';
            }
            continue;
        }
        if (i) {
            out[size++] = ':';
        }
        size += put_hex(out + size, parts[i++]);
    }
    return size;
}

/* --- tests and windows -------------------------------------------------------------------------------------------- */

/* The places of several fields in a format: -1 for one that it does not have. */
typedef struct {
    int *at;
    size_t count;
    bool adjacent;  /* each is one more than the one before, and none is -1 */
} Places;

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

/* The place of a field, whose kind must be one of the letters; -2 with an error set. */
static int get_place(PyObject *object, const Scan *scan, const char *allowed)
{
    long place = PyLong_AsLong(object);
    if (place == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Format(PyExc_ValueError, "%R is not a place in a format of %zu fields", object, scan->fields);
        }
        return -2;
    }
    if (place < -1 || place >= (long)scan->fields) {
        PyErr_Format(PyExc_ValueError, "%ld is not a place in a format of %zu fields", place, scan->fields);
        return -2;
    }
    if (place >= 0 && !strchr(allowed, scan->kinds[place])) {
        PyErr_Format(PyExc_ValueError, "the field at place %ld is not of the kind that is needed", place);
        return -2;
    }
    return (int)place;
}

/* The places in a tuple, for which a pool has memory. Returns false with an error set. */
static bool get_places(PyObject *tuple, const Scan *scan, const char *allowed, Pool *pool, Places *places)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "places must be a tuple");
        return false;
    }
    places->count = (size_t)PyTuple_Size(tuple);
    places->at = pool_get(pool, places->count, sizeof(int));
    places->adjacent = places->count > 0;
    for (size_t i = 0; places->at && i < places->count; i++) {
        places->at[i] = get_place(PyTuple_GetItem(tuple, (Py_ssize_t)i), scan, allowed);
        if (places->at[i] < -1) {
            return false;
        }
        places->adjacent = places->adjacent && places->at[i] >= 0 && places->at[i] == places->at[0] + (int)i;
    }
    return places->at != NULL;
}

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

/* --- check and keep -----------------------------------------------------------------------------------------------

   Lines are kept in runs. If all lines are kept, nothing is copied. */

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

/* --- columns ------------------------------------------------------------------------------------------------------ */

/* The values at some places with a space between two: in the line if possible, else written to `joined`. */
static Status values_at(const Places *places, const Line *line, Buffer *joined, Text *value)
{
    if (places->adjacent) {
        size_t begin = line->at[places->at[0]];
        *value = (Text){line->text + begin, line->at[places->at[places->count - 1] + 1] - begin - 1};
        return DONE;
    }
    if (places->count == 1) {
        *value = value_at(line, places->at[0]);
        return DONE;
    }
    joined->used = 0;
    for (size_t i = 0; i < places->count; i++) {
        Text part = value_at(line, places->at[i]);
        if (buffer_room(joined, part.size + 1)) {
            return NO_MEMORY;
        }
        buffer_put(joined, part.text, part.size);
        joined->at[joined->used++] = ' ';
    }
    *value = (Text){joined->at, joined->used ? joined->used - 1 : 0};
    return DONE;
}

/* Columns of records on their way to Python: a list of bytes objects for each. */
typedef struct {
    Places *places;   /* of each column */
    PyObject **lists;
    Text *last;       /* the last value of each list */
    size_t count;
    Buffer joined;
} Columns;

static bool add_values(Columns *columns, const Line *line)
{
    for (size_t i = 0; i < columns->count; i++) {
        PyObject *list = columns->lists[i], *object;
        Text *last = &columns->last[i], value;
        if (values_at(&columns->places[i], line, &columns->joined, &value)) {
            PyErr_NoMemory();
            return false;
        }
        /* A value is often equal to that of the line before. */
        Py_ssize_t rows = PyList_Size(list);
        if (rows && same_text(*last, value)) {
            object = PyList_GetItem(list, rows - 1);
            Py_XINCREF(object);
        } else {
            object = new_bytes(value.text, value.size);
        }
        int failed = object ? PyList_Append(list, object) : -1;
        if (!failed) {
            *last = (Text){(const byte *)PyBytes_AsString(object), value.size};
        }
        Py_XDECREF(object);
        if (failed) {
            return false;
        }
    }
    return true;
}

/* The GIL is held: nearly all the time goes into bytes objects. */
static bool add_records(Columns *columns, Scan *scan, const Selector *selector)
{
    Line line;
    Outcome outcome;
    while ((outcome = next_line(scan, &line)) == FOUND) {
        if (passes(selector, &line) && !add_values(columns, &line)) {
            return false;
        }
    }
    if (outcome == OUT_OF_MEMORY) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

/* Makes a list of lists for columns with the places in a sequence: each is an int or a tuple. */
static PyObject *set_up_columns(PyObject *places, const Scan *scan, Pool *pool, Columns *columns)
{
    PyObject *given = PySequence_Tuple(places);
    PyObject *found = given ? PyList_New(0) : NULL;
    columns->count = given ? (size_t)PyTuple_Size(given) : 0;
    columns->places = found ? pool_get(pool, columns->count, sizeof(Places)) : NULL;
    columns->lists = columns->places ? pool_get(pool, columns->count, sizeof(PyObject *)) : NULL;
    columns->last = columns->lists ? pool_get(pool, columns->count, sizeof(Text)) : NULL;
    bool fine = columns->last != NULL;
    for (size_t i = 0; i < columns->count && fine; i++) {
        PyObject *item = PyTuple_GetItem(given, (Py_ssize_t)i);
        PyObject *tuple = PyTuple_Check(item) ? Py_NewRef(item) : PyTuple_Pack(1, item);
        PyObject *list = PyList_New(0);
        columns->lists[i] = list;
        fine = tuple && list && get_places(tuple, scan, "TIM", pool, &columns->places[i]) &&
               PyList_Append(found, list) == 0;
        Py_XDECREF(tuple);
        Py_XDECREF(list);
    }
    if (!fine) {
        Py_CLEAR(found);
    }
    Py_XDECREF(given);
    return found;
}

PyDoc_STRVAR(
    columns_doc,
    "columns(kinds, tests, window, places, data) -> (columns, skipped)\n\n"
    "Columns of the canonical lines that pass (see pure.columns).");

static PyObject *kernel_columns(PyObject *module, PyObject *args)
{
    PyObject *kinds, *tests, *window, *places, *data, *result = NULL, *found = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOO:columns", &kinds, &tests, &window, &places, &data)) {
        return NULL;
    }
    Scan *scan = scan_new(kinds, data);
    if (!scan) {
        return NULL;
    }
    Selector selector = {0};
    Columns columns = {0};
    if (get_selector(tests, window, scan, &selector) &&
        (found = set_up_columns(places, scan, &selector.pool, &columns)) && add_records(&columns, scan, &selector)) {
        result = with_skipped(Py_NewRef(found), scan);
    }
    Py_XDECREF(found);
    free_memory(columns.joined.at);
    pool_free(&selector.pool);
    scan_free(scan);
    return result;
}

/* --- values of records ----------------------------------------------------------------------------------------------

   A record is a Python object that has a line as text. A value is found without splitting the text. */

/* Finds the value at a place of a line; false if the line has too few. */
static bool find_value(Text line, long place, Text *value)
{
    const byte *begin = line.text, *end = line.text + line.size;
    for (;;) {
        const byte *space = memchr(begin, ' ', (size_t)(end - begin));
        if (!place) {
            *value = (Text){begin, (size_t)((space ? space : end) - begin)};
            return true;
        }
        if (!space) {
            return false;
        }
        begin = space + 1;
        place--;
    }
}

/* A value as a Python object: None if it is missing. `given` is the value as a str, if there is one. */
static PyObject *value_object(Text value, PyObject *given, bool number)
{
    if (is_missing(value)) {
        return Py_NewRef(Py_None);
    }
    bool digits = number && value.size && value.size <= MAX_DIGITS;
    for (size_t i = 0; digits && i < value.size; i++) {
        digits = is_digit(value.text[i]);
    }
    if (digits) {
        return PyLong_FromUnsignedLongLong(number_of(value, value.text));
    }
    PyObject *text =
        given ? Py_NewRef(given) : PyUnicode_FromStringAndSize((const char *)value.text, (Py_ssize_t)value.size);
    if (!number || !text) {
        return text;
    }
    PyObject *converted = PyNumber_Long(text);
    Py_DECREF(text);
    return converted;
}

/* `how` is (name of the attribute, place, whether the value is a number). */
static PyObject *get_value_of(PyObject *how, PyObject *record)
{
    PyObject *texts = PyObject_GetAttr(record, PyTuple_GetItem(how, 0)), *result = NULL;
    if (!texts) {
        return NULL;
    }
    const long place = PyLong_AsLong(PyTuple_GetItem(how, 1));
    const bool number = PyTuple_GetItem(how, 2) == Py_True;
    const char *text;
    Py_ssize_t size;
    if (PyList_Check(texts)) {
        PyObject *given = PyList_GetItem(texts, place);
        Py_XINCREF(given);
        text = given ? PyUnicode_AsUTF8AndSize(given, &size) : NULL;
        result = text ? value_object((Text){(const byte *)text, (size_t)size}, given, number) : NULL;
        Py_XDECREF(given);
    } else if ((text = PyUnicode_AsUTF8AndSize(texts, &size))) {
        Text value;
        if (find_value((Text){(const byte *)text, (size_t)size}, place, &value)) {
            result = value_object(value, NULL, number);
        } else {
            PyErr_SetString(PyExc_IndexError, "a line has too few values");
        }
    }
    Py_DECREF(texts);
    return result;
}

static PyMethodDef value_method = {"value", get_value_of, METH_O, "The value of a record, or None."};

PyDoc_STRVAR(
    column_getter_doc,
    "column_getter(place, number) -> function\n\n"
    "A function that returns a value of a record (see pure.column_getter).");

static PyObject *kernel_column_getter(PyObject *module, PyObject *args)
{
    long place;
    int number;
    (void)module;
    if (!PyArg_ParseTuple(args, "lp:column_getter", &place, &number)) {
        return NULL;
    }
    if (place < 0) {
        PyErr_SetString(PyExc_ValueError, "a place is 0 or more");
        return NULL;
    }
    PyObject *how = Py_BuildValue("(NlN)", PyUnicode_InternFromString("_texts"), place, PyBool_FromLong(number));
    PyObject *function = how ? PyCFunction_NewEx(&value_method, how, NULL) : NULL;
    Py_XDECREF(how);
    return function;
}

/* --- header rows -------------------------------------------------------------------------------------------------- */

static Status find_letters(const byte *data, size_t length, Buffer *found)
{
    for (size_t at = 0; at < length;) {
        if (UNLIKELY(data[at] >= 'a' && data[at] <= 'z')) {
            if (buffer_room(found, sizeof(at))) {
                return NO_MEMORY;
            }
            buffer_put(found, &at, sizeof(at));
        }
        const byte *newline = memchr(data + at, '\n', length - at);
        at = newline ? (size_t)(newline - data) + 1 : length;
    }
    return DONE;
}

PyDoc_STRVAR(
    letter_lines_doc,
    "letter_lines(data) -> tuple of int\n\n"
    "Where lines begin with a lower-case ASCII letter (see pure.letter_lines).");

static PyObject *kernel_letter_lines(PyObject *module, PyObject *data)
{
    (void)module;
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes");
        return NULL;
    }
    const byte *text = (const byte *)PyBytes_AsString(data);
    size_t length = (size_t)PyBytes_Size(data);
    Buffer found = {0};
    Status status;
    Py_BEGIN_ALLOW_THREADS
    status = find_letters(text, length, &found);
    Py_END_ALLOW_THREADS
    Py_ssize_t count = (Py_ssize_t)(found.used / sizeof(size_t));
    PyObject *result = status ? PyErr_NoMemory() : PyTuple_New(count);
    for (Py_ssize_t i = 0; result && i < count; i++) {
        PyObject *number = PyLong_FromSize_t(((size_t *)(void *)found.at)[i]);
        if (!number || PyTuple_SetItem(result, i, number)) {
            Py_CLEAR(result);
        }
    }
    free_memory(found.at);
    return result;
}

/* --- lines with a text -----------------------------------------------------------------------------------------------

   A text is searched for at 64 offsets at a time, by four of its bytes: the whole text is compared at few of them. All
   texts are searched for in one part of the data, which stays in the processor's cache, before the next part. */

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

/* --- sums ------------------------------------------------------------------------------------------------------------

   Entries are stored one after the other in chunks of memory, in the order in which their keys first appear, so that a
   row needs no pointer. A slot of the hash table has 32 bits of the hash, and the position of the entry in units of
   eight bytes. */

typedef struct {
    uint64_t flows, packets, octets;
    uint32_t packets_high, octets_high;
    uint32_t start;      /* NO_START if it is not known */
    uint32_t end_after;  /* end + 1, or 0 */
    uint32_t size;       /* of the key, which follows */
} Entry;

#define KEY_AT (offsetof(Entry, size) + sizeof(uint32_t))
#define NO_START UINT32_MAX
#define CHUNK_UNITS ((size_t)1 << 17)
#define MAX_CHUNKS (((size_t)1 << 15) - 1)

typedef struct {
    byte *at;
    size_t used, size;  /* in units; an entry that is larger than a chunk takes the numbers of several */
} Chunk;

typedef enum { AS_IS, PREFIX, BUCKET, MAP, LABEL } KeyKind;

typedef struct {
    Text from, to;
} Pair;

typedef struct {
    KeyKind kind;
    unsigned n4, n6;
    uint64_t seconds, offset;
    Pair *pairs;  /* sorted by `from` */
    size_t n_pairs;
    Labels labels;
    Text otherwise;
} Key;

/* One record on its way into the table. */
typedef struct {
    const byte *key;
    size_t size;
    uint64_t hash, flows, packets, octets;
    uint32_t start, end_after;
} Row;

enum { BATCH = 256, KEY_ROOM = 1 << 16 };

typedef struct {
    PyObject_HEAD
    PyObject *signature;  /* what must be equal in tables that are merged */
    PyObject *network;    /* pure.network, for texts with a slash */
    PyObject *keys_given; /* owns the texts of maps */
    Pool pool;
    Key *keys;
    size_t n_keys;
    bool plain;   /* all keys are as they are */
    bool dotted;  /* this Python writes ::ffff:1.2.3.4 */
    bool packets, octets, start, end, flows_only;
    bool busy;
    uint64_t seed;
    uint64_t *slots;
    size_t n_slots;  /* a power of two */
    size_t rows;
    Chunk *chunks;
    size_t n_chunks, room_for_chunks;
    /* The position of the row `page_row`: usually the next call of lines() begins there. */
    size_t page_row, page_chunk, page_unit;
} Sums;

/* Up to eight bytes as a number. */
INLINE uint64_t load_short(const byte *text, size_t size)
{
    if (size >= 4) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + size - 4, 4);
        return (uint64_t)first << 32 | last;
    }
    return size ? (uint64_t)text[0] << 16 | (uint64_t)text[size / 2] << 8 | text[size - 1] : 0;
}

INLINE uint64_t hash_text(const byte *text, size_t size, uint64_t seed)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t hash = seed ^ (size * factor);
    if (size > 8) {
        const byte *last = text + size - 8;
        for (; text < last; text += 8) {
            hash = (hash ^ load8(text)) * factor;
            hash ^= hash >> 29;
        }
        hash = (hash ^ load8(last)) * factor;
    } else {
        hash = (hash ^ load_short(text, size)) * factor;
    }
    hash = (hash ^ hash >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return hash ^ hash >> 32;
}

INLINE size_t units_of(size_t key_size)
{
    return (KEY_AT + key_size + 7) >> 3;
}

INLINE Entry *entry_at(const Sums *sums, size_t unit)
{
    return (Entry *)(void *)(sums->chunks[unit / CHUNK_UNITS].at + unit % CHUNK_UNITS * 8);
}

INLINE byte *key_of(Entry *entry)
{
    return (byte *)entry + KEY_AT;
}

/* Allocates an entry at the end of the table. */
NOINLINE Status new_entry(Sums *sums, size_t key_size, size_t *unit, Entry **entry)
{
    if (key_size > UINT32_MAX / 2) {
        return NO_MEMORY;
    }
    size_t units = units_of(key_size);
    Chunk *last = sums->n_chunks ? &sums->chunks[sums->n_chunks - 1] : NULL;
    /* A large entry takes the numbers of several chunks. All but the first of these are empty. */
    if (last && last->at && last->used + units <= CHUNK_UNITS) {
        if (last->used + units > last->size) {
            size_t size = last->size * 2 < last->used + units ? last->used + units : last->size * 2;
            size = size > CHUNK_UNITS ? CHUNK_UNITS : size;
            byte *at = grow_memory(last->at, size * 8);
            if (!at) {
                return NO_MEMORY;
            }
            last->at = at;
            last->size = size;
        }
    } else {
        size_t numbers = (units + CHUNK_UNITS - 1) / CHUNK_UNITS;
        if (sums->n_chunks + numbers > MAX_CHUNKS) {
            return TOO_LARGE;
        }
        if (sums->n_chunks + numbers > sums->room_for_chunks) {
            size_t room = (sums->n_chunks + numbers) * 2;
            Chunk *chunks = grow_memory(sums->chunks, room * sizeof(Chunk));
            if (!chunks) {
                return NO_MEMORY;
            }
            sums->chunks = chunks;
            sums->room_for_chunks = room;
        }
        /* The first chunk of a table grows: most tables are small. */
        size_t size = sums->n_chunks ? CHUNK_UNITS : 512;
        size = size < units ? units : size;
        byte *at = get_memory(size * 8);
        if (!at) {
            return NO_MEMORY;
        }
        memset(&sums->chunks[sums->n_chunks], 0, numbers * sizeof(Chunk));
        last = &sums->chunks[sums->n_chunks];
        last->at = at;
        last->size = size;
        sums->n_chunks += numbers;
    }
    *unit = (size_t)(last - sums->chunks) * CHUNK_UNITS + last->used;
    *entry = (Entry *)(void *)(last->at + last->used * 8);
    last->used += units;
    sums->rows++;
    return DONE;
}

/* Makes slots for `rows` rows: at most three quarters of the slots are used. */
static Status grow_slots(Sums *sums, size_t rows)
{
    if (sums->n_slots && rows <= sums->n_slots / 4 * 3) {
        return DONE;
    }
    size_t wanted = sums->n_slots ? sums->n_slots : 64;
    while (wanted / 4 * 3 < rows) {
        if (wanted > SIZE_MAX / 32) {
            return NO_MEMORY;
        }
        wanted *= 2;
    }
    uint64_t *slots = get_zeros(wanted, sizeof(uint64_t));
    if (!slots) {
        return NO_MEMORY;
    }
    for (size_t i = 0; i < sums->n_slots; i++) {
        uint64_t slot = sums->slots[i];
        if (slot) {
            size_t at = (size_t)(slot >> 32) & (wanted - 1);
            while (slots[at]) {
                at = (at + 1) & (wanted - 1);
            }
            slots[at] = slot;
        }
    }
    free_memory(sums->slots);
    sums->slots = slots;
    sums->n_slots = wanted;
    return DONE;
}

/* Finds the entry of a key, or makes it. There must be a free slot. */
INLINE Status find_entry(Sums *sums, const byte *key, size_t size, uint64_t hash, Entry **found)
{
    const uint64_t tag = hash & UINT32_MAX;
    size_t at = (size_t)tag & (sums->n_slots - 1);
    for (;; at = (at + 1) & (sums->n_slots - 1)) {
        uint64_t slot = sums->slots[at];
        if (!slot) {
            break;
        }
        if (slot >> 32 == tag) {
            Entry *entry = entry_at(sums, (size_t)(slot & UINT32_MAX) - 1);
            if (LIKELY(entry->size == size && memcmp(key_of(entry), key, size) == 0)) {
                *found = entry;
                return DONE;
            }
        }
    }
    size_t unit;
    Status status = new_entry(sums, size, &unit, found);
    if (status) {
        return status;
    }
    **found = (Entry){.start = NO_START, .size = (uint32_t)size};
    /* The key begins where the fields end, which may be before sizeof(Entry): so it is written last. */
    memcpy(key_of(*found), key, size);
    sums->slots[at] = tag << 32 | (uint64_t)(unit + 1);
    return DONE;
}

INLINE bool add_wide(uint64_t *low, uint32_t *high, uint64_t more, uint64_t more_high)
{
    *low += more;
    uint64_t sum = *high + more_high + (*low < more);
    *high = (uint32_t)sum;
    return sum <= UINT32_MAX;
}

static Status add_rows(Sums *sums, const Row *rows, size_t count)
{
    Status status = grow_slots(sums, sums->rows + count);
    if (status) {
        return status;
    }
    /* A large table is not in the cache: prefetch all slots, then all entries. */
    if (sums->rows > 4096) {
        for (size_t i = 0; i < count; i++) {
            PREFETCH(&sums->slots[rows[i].hash & UINT32_MAX & (sums->n_slots - 1)]);
        }
        for (size_t i = 0; i < count; i++) {
            uint64_t slot = sums->slots[rows[i].hash & UINT32_MAX & (sums->n_slots - 1)];
            if (slot) {
                const byte *entry = (const byte *)entry_at(sums, (size_t)(slot & UINT32_MAX) - 1);
                PREFETCH(entry);
                PREFETCH(entry + 63);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        const Row *row = &rows[i];
        Entry *entry;
        status = find_entry(sums, row->key, row->size, row->hash, &entry);
        if (status) {
            return status;
        }
        entry->flows += row->flows;
        bool fits = entry->flows >= row->flows;
        fits &= add_wide(&entry->packets, &entry->packets_high, row->packets, 0);
        fits &= add_wide(&entry->octets, &entry->octets_high, row->octets, 0);
        entry->start = row->start < entry->start ? row->start : entry->start;
        entry->end_after = row->end_after > entry->end_after ? row->end_after : entry->end_after;
        if (UNLIKELY(!fits)) {
            return TOO_LARGE;
        }
    }
    return DONE;
}

/* --- keys of rows ------------------------------------------------------------------------------------------------- */

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

/* --- adding ------------------------------------------------------------------------------------------------------- */

typedef struct {
    int packets, octets, start, end, status;
    int flows;  /* -1 if a line is one flow */
    Places *alternatives;
    size_t n_alternatives;
    size_t kept;
} Adding;

static bool is_flow(const Adding *adding, const Line *line)
{
    if (adding->packets < 0 && adding->octets < 0) {
        static const byte nodata[] = "NODATA", skipdata[] = "SKIPDATA";
        Text status = value_at(line, adding->status);
        return !same_text(status, (Text){nodata, 6}) && !same_text(status, (Text){skipdata, 8});
    }
    return !is_missing(value_at(line, adding->packets)) || !is_missing(value_at(line, adding->octets));
}

INLINE uint64_t number_at(const Line *line, int place, bool wanted)
{
    if (!wanted || place < 0) {
        return 0;
    }
    Text value = value_at(line, place);
    return is_missing(value) ? 0 : number_of(value, line->limit);
}

INLINE uint32_t time_at(const Line *line, int place, bool wanted, uint32_t missing, uint32_t more)
{
    if (!wanted || place < 0) {
        return missing;
    }
    Text value = value_at(line, place);
    return is_missing(value) ? missing : (uint32_t)number_of(value, line->limit) + more;
}

/* Records are added to the table in batches. Keys are in the data if possible, else they are written to `made`, which
   does not move while rows point into it. */
typedef struct {
    Row rows[BATCH];
    size_t count;
    Buffer made;
    Buffer key;
} Waiting;

static Status add_waiting(Sums *sums, Waiting *waiting)
{
    Status status = add_rows(sums, waiting->rows, waiting->count);
    waiting->count = 0;
    waiting->made.used = 0;
    return status;
}

/* The key of one alternative, in the data or in `made`. */
static Status make_key(
    Sums *sums, Waiting *waiting, const Places *places, const Line *line, Text *key, Released *released)
{
    if (sums->plain && line->as_given && places->adjacent) {
        return values_at(places, line, NULL, key);
    }
    waiting->key.used = 0;
    Status status = put_key(sums, places->at, line, &waiting->key, released);
    if (status) {
        return status;
    }
    size_t size = waiting->key.used;
    if (size > waiting->made.size - waiting->made.used) {
        status = add_waiting(sums, waiting);
        if (status || (size > waiting->made.size && (status = buffer_room(&waiting->made, size)))) {
            return status;
        }
    }
    *key = (Text){waiting->made.at + waiting->made.used, size};
    if (size) {
        buffer_put(&waiting->made, waiting->key.at, size);
    }
    return DONE;
}

static Status add_line(Sums *sums, Adding *adding, Waiting *waiting, const Line *line, Released *released)
{
    Row row;
    row.flows = adding->flows < 0 ? 1 : number_at(line, adding->flows, true);
    row.packets = number_at(line, adding->packets, sums->packets);
    row.octets = number_at(line, adding->octets, sums->octets);
    row.start = time_at(line, adding->start, sums->start, NO_START, 0);
    row.end_after = time_at(line, adding->end, sums->end, 0, 1);
    for (size_t i = 0; i < adding->n_alternatives; i++) {
        Text key;
        if (waiting->count == BATCH) {
            Status status = add_waiting(sums, waiting);
            if (status) {
                return status;
            }
        }
        Status status = make_key(sums, waiting, &adding->alternatives[i], line, &key, released);
        if (status) {
            return status;
        }
        row.key = key.text;
        row.size = key.size;
        row.hash = hash_text(key.text, key.size, sums->seed);
        waiting->rows[waiting->count++] = row;
    }
    return DONE;
}

static Status add_lines(
    Sums *sums, Scan *scan, const Selector *selector, Adding *adding, Waiting *waiting, Released *released)
{
    Line line;
    Outcome outcome;
    Status status = buffer_room(&waiting->made, KEY_ROOM);
    while (!status && (outcome = next_line(scan, &line)) != CUT) {
        if (outcome == OUT_OF_MEMORY) {
            return NO_MEMORY;
        }
        if ((selector->n_tests || selector->windowed) && !passes(selector, &line)) {
            continue;
        }
        adding->kept++;
        if (!sums->flows_only || is_flow(adding, &line)) {
            status = add_line(sums, adding, waiting, &line, released);
        }
    }
    return status ? status : add_waiting(sums, waiting);
}

/* Marks a table as in use. Raises RuntimeError if it is in use already: only one thread may use it at a time. */
static bool begin_use(Sums *sums)
{
    if (sums->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this table");
        return false;
    }
    sums->busy = true;
    return true;
}

static bool get_alternatives(PyObject *tuple, Sums *sums, const Scan *scan, Pool *pool, Adding *adding)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "alternatives must be a tuple of tuples of places");
        return false;
    }
    adding->n_alternatives = (size_t)PyTuple_Size(tuple);
    adding->alternatives = pool_get(pool, adding->n_alternatives, sizeof(Places));
    for (size_t i = 0; adding->alternatives && i < adding->n_alternatives; i++) {
        Places *places = &adding->alternatives[i];
        if (!get_places(PyTuple_GetItem(tuple, (Py_ssize_t)i), scan, "TIM", pool, places)) {
            return false;
        }
        if (places->count != sums->n_keys) {
            PyErr_Format(PyExc_ValueError, "%zu keys cannot be made of %zu places", sums->n_keys, places->count);
            return false;
        }
        for (size_t j = 0; j < places->count; j++) {
            if (sums->keys[j].kind == BUCKET && places->at[j] >= 0 && scan->kinds[places->at[j]] == 'T') {
                PyErr_SetString(PyExc_ValueError, "a bucket cannot be made of text");
                return false;
            }
        }
    }
    return adding->alternatives != NULL;
}

static bool get_sums(PyObject *tuple, const Scan *scan, Adding *adding)
{
    static const char allowed[5][4] = {"IM", "IM", "M", "M", "TIM"};
    int *into[5] = {&adding->packets, &adding->octets, &adding->start, &adding->end, &adding->status};
    PyObject *places[5];
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "the places of sums must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(tuple, "OOOOO", &places[0], &places[1], &places[2], &places[3], &places[4])) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        *into[i] = get_place(places[i], scan, allowed[i]);
        if (*into[i] < -1) {
            return false;
        }
    }
    return true;
}

PyDoc_STRVAR(
    sums_add_doc,
    "add(kinds, tests, window, alternatives, sums, data) -> (kept, skipped)\n\n"
    "Adds the records that pass (see pure.Sums.add).");

static PyObject *sums_add(PyObject *self, PyObject *args)
{
    Sums *sums = (Sums *)self;
    PyObject *kinds, *tests, *window, *alternatives, *places, *data, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO:add", &kinds, &tests, &window, &alternatives, &places, &data) ||
        !begin_use(sums)) {
        return NULL;
    }
    Selector selector = {0};
    Adding adding = {.flows = -1};
    Waiting *waiting = NULL;
    Scan *scan = scan_new(kinds, data);
    if (scan && get_selector(tests, window, scan, &selector) && get_sums(places, scan, &adding) &&
        get_alternatives(alternatives, sums, scan, &selector.pool, &adding) &&
        (waiting = pool_get(&selector.pool, 1, sizeof(Waiting)))) {
        Released released = PyEval_SaveThread();
        Status status = add_lines(sums, scan, &selector, &adding, waiting, &released);
        PyEval_RestoreThread(released);
        if (status) {
            raise_status(status);
        } else {
            result = Py_BuildValue("(nn)", (Py_ssize_t)adding.kept, (Py_ssize_t)scan->skipped);
        }
    }
    if (waiting) {
        free_memory(waiting->made.at);
        free_memory(waiting->key.at);
    }
    pool_free(&selector.pool);
    scan_free(scan);
    sums->busy = false;
    return result;
}

/* Whether all data is lines as sums_lines writes them, each with packets, bytes and flows. */
static Status check_groups(Scan *scan, size_t n_keys, bool *sound)
{
    Line line;
    Outcome outcome;
    size_t size = 0;
    *sound = true;
    while (*sound && (outcome = next_line(scan, &line)) != CUT) {
        if (outcome == OUT_OF_MEMORY) {
            return NO_MEMORY;
        }
        Text packets = value_at(&line, (int)n_keys), octets = value_at(&line, (int)n_keys + 1);
        Text flows = value_at(&line, (int)n_keys + 4);
        size += line.size;
        *sound = line.as_given && !is_missing(packets) && !is_missing(octets) && !is_missing(flows) &&
                 number_of(flows, line.limit) > 0;
    }
    /* `size` does not count empty lines, which the scan passes over. */
    *sound = *sound && size == scan->length && !scan->skipped;
    return DONE;
}

/* The kinds of the values in a line of a table. */
static PyObject *kinds_of_groups(const Sums *sums)
{
    static const char counted[] = "IIMMI";
    PyObject *kinds = new_bytes(NULL, sums->n_keys + 5);
    if (kinds) {
        char *at = PyBytes_AsString(kinds);
        for (size_t i = 0; i < sums->n_keys; i++) {
            at[i] = sums->keys[i].kind == BUCKET ? 'I' : 'T';
        }
        memcpy(at + sums->n_keys, counted, 5);
    }
    return kinds;
}

static Status add_groups(Sums *sums, Scan *scan, Pool *pool, Released *released)
{
    const int n_keys = (int)sums->n_keys;
    /* The keys come first in a line. */
    Places keys = {pool_get(pool, sums->n_keys, sizeof(int)), sums->n_keys, sums->n_keys > 0};
    Waiting *waiting = keys.at ? pool_get(pool, 1, sizeof(Waiting)) : NULL;
    if (!waiting) {
        return RAISED;
    }
    for (int i = 0; i < n_keys; i++) {
        keys.at[i] = i;
    }
    Adding adding = {n_keys, n_keys + 1, n_keys + 2, n_keys + 3, -1, n_keys + 4, &keys, 1, 0};
    Selector everything = {0};
    *released = PyEval_SaveThread();
    Status status = add_lines(sums, scan, &everything, &adding, waiting, released);
    PyEval_RestoreThread(*released);
    free_memory(waiting->made.at);
    free_memory(waiting->key.at);
    return status;
}

PyDoc_STRVAR(
    sums_add_groups_doc,
    "add_groups(data)\n\nAdds sums that were made elsewhere (see pure.Sums.add_groups).");

static PyObject *sums_add_groups(PyObject *self, PyObject *data)
{
    Sums *sums = (Sums *)self;
    if (!begin_use(sums)) {
        return NULL;
    }
    PyObject *kinds = kinds_of_groups(sums);
    Scan *scan = kinds ? scan_new(kinds, data) : NULL;
    Scan *again = scan ? scan_new(kinds, data) : NULL;
    Pool pool = {0};
    Status status = RAISED;
    if (again) {
        bool sound = false;
        Released released = PyEval_SaveThread();
        status = check_groups(scan, sums->n_keys, &sound);
        PyEval_RestoreThread(released);
        if (!status && !sound) {
            PyErr_SetString(PyExc_ValueError, "these are not the lines of a table");
            status = RAISED;
        }
        if (!status) {
            status = add_groups(sums, again, &pool, &released);
        }
        if (status) {
            raise_status(status);
        }
    }
    pool_free(&pool);
    scan_free(again);
    scan_free(scan);
    Py_XDECREF(kinds);
    sums->busy = false;
    if (status) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* --- rows of a table ---------------------------------------------------------------------------------------------- */

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

/* --- making a table ----------------------------------------------------------------------------------------------- */

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

/* --- output ------------------------------------------------------------------------------------------------------- */

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

/* --- events of CloudWatch Logs -----------------------------------------------------------------------------------

   An event page is parsed as strict JSON. pure.find_events reads pages with anything unusual: other spellings of
   numbers, members that occur twice, events that are not in order, text that is not UTF-8, and what is not JSON. */

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

/* --- the module --------------------------------------------------------------------------------------------------- */

static PyMethodDef kernel_methods[] = {
    {"check", kernel_check, METH_VARARGS, check_doc},
    {"keep", kernel_keep, METH_VARARGS, keep_doc},
    {"column_getter", kernel_column_getter, METH_VARARGS, column_getter_doc},
    {"columns", kernel_columns, METH_VARARGS, columns_doc},
    {"compile_tests", kernel_compile_tests, METH_VARARGS, compile_tests_doc},
    {"encode", kernel_encode, METH_VARARGS, encode_doc},
    {"find_events", kernel_find_events, METH_O, find_events_doc},
    {"letter_lines", kernel_letter_lines, METH_O, letter_lines_doc},
    {"lines_with", kernel_lines_with, METH_VARARGS, lines_with_doc},
#ifdef KERNEL_TEST_ALLOC
    {"fail_in", kernel_fail_in, METH_O, NULL},
    {"alive", kernel_alive, METH_NOARGS, NULL},
#endif
    {NULL, NULL, 0, NULL},
};

static int kernel_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &sums_spec, NULL);
    int failed = type ? PyModule_AddObjectRef(module, "Sums", type) : -1;
    Py_XDECREF(type);
    return failed;
}

static PyModuleDef_Slot kernel_slots[] = {
    {Py_mod_exec, (void *)kernel_exec},
    {0, NULL},
};

static struct PyModuleDef kernel_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "flowlogs_reader.kernel._native",
    .m_doc = "The kernel in C; the folder pure says what it does.",
    .m_size = 0,
    .m_methods = kernel_methods,
    .m_slots = kernel_slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&kernel_module);
}
