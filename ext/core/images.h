/* images.h: integers with few significant bits, as values have that were float16 or bfloat16 once. */
#ifndef AC_IMAGES_H
#define AC_IMAGES_H
#include "windows.h"

/* Replace the integers of those 128s that gain by it by their images (ac_image), all with as many significand bits,
 * which are returned, 0 if none gain; imaged[] says of each 128 whether it was.  Statistics are to be renewed. */
uint8_t ac_images_take(int32_t *q, uint32_t n, uint8_t *imaged);

/* And back. */
void ac_images_undo(int32_t *q, uint32_t n, const uint8_t *imaged, uint8_t image);
#endif
