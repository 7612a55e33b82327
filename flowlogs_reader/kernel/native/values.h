/* Values of records.

   A record is a Python object that has a line as text. A value is found without splitting the text. */

#pragma once

#include "base.h"
#include "bits.h"
#include "lines.h"

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
