/* Bytes objects that are cut where they are.
 *
 * _PyBytes_Resize is in every CPython so far, but not in its stable ABI, which the modules are built for.  So it is asked for
 * by a weak reference: where there is none of that name, ac_can_resize says so, and bytes are copied instead.
 */
#ifndef AC_RESIZE_H
#define AC_RESIZE_H
#include <Python.h>

extern int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) __attribute__((weak));

static inline int ac_can_resize(void)
{
    return _PyBytes_Resize != NULL;
}

#endif
