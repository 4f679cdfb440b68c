/* glance.h: what some values of an array say of all of it, before it is cut. */
#ifndef AC_GLANCE_H
#define AC_GLANCE_H
#include "../arraycodec.h"

/* Are values of neighbours along the slowest axis unrelated, as different variables are?  The array has two axes and more. */
int ac_glance_apart(const ac_info *info, const void *src);

/* Are values nearer to neighbours than to any other values, by more than the tolerance?  Else there is nothing to predict. */
int ac_glance_predictable(const ac_info *info, const void *src);
#endif
