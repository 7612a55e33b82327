/* Addresses: IPv4 and IPv6 as numbers. */

#pragma once

#include "base.h"
#include "bits.h"
#include "lines.h"

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
