/* The table of sums.

   Entries are stored one after the other in chunks of memory, in the order in which their keys first appear, so that a
   row needs no pointer. A slot of the hash table has 32 bits of the hash, and the position of the entry in units of
   eight bytes. */

#pragma once

#include "base.h"
#include "bits.h"
#include "memory.h"
#include "tests.h"

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
