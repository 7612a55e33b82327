/* The work that is done for each record, in C. The folder ../pure is the reference: same names, arguments and results.

   Rules of this folder: no global state; no recursion over input; every read is inside the buffer; every size is
   checked for overflow and every allocation for failure. The GIL is released around the loops over data; before such a
   loop, the contents of Python objects are copied into C structures. No format of the C API has a #: with the headers
   of Python 3.13 the result would fail in 3.12 and older.

   The parts are headers: the compiler sees them as one file, and inlines across them. Each includes what it uses.

   tools            base, memory, bits, byte_classes
   lines            reads lines, and makes them canonical
   selection        addresses, places, tests, compile_tests, selection (check and keep)
   values           columns, values (of records)
   text             header_rows, search (lines with a text)
   sums             table, keys, adding, rows, sums (the Python type)
   output           encodings
   event pages      events */

#include "columns.h"
#include "compile_tests.h"
#include "encodings.h"
#include "events.h"
#include "header_rows.h"
#include "search.h"
#include "selection.h"
#include "sums.h"
#include "values.h"

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
