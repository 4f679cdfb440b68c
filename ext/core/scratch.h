/* scratch.h: working memory that a thread keeps from one call to the next. */
#ifndef AC_SCRATCH_H
#define AC_SCRATCH_H
#include <stddef.h>

/* At least `size` bytes, aligned to 64, of any content; NULL if there is no memory.  To be given
 * back by the same thread. */
void *ac_scratch_take(size_t size);
void ac_scratch_give(void *memory); /* NULL is allowed */
#endif
