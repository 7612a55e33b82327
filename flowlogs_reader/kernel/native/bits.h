/* Bits and numbers. */

#pragma once

#include "base.h"

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
