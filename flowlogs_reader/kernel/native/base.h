/* What all parts use: Python, the compiler, results and errors. */

#pragma once

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
