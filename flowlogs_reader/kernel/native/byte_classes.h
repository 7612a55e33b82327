/* Classes of bytes.

   One bit for each byte says whether it ends a value, is not a digit, or is not printable. With SSE2 a few instructions
   classify sixteen bytes; without it, some more classify eight bytes. */

#pragma once

#include "base.h"
#include "bits.h"

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
