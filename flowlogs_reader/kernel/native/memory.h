/* Memory.

   In a test build, the n-th allocation can be made to fail, and allocations that are not freed are counted. */

#pragma once

#include "base.h"

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
