/* scalar.c: the table "scalar", plain C for every machine, and "sse4.2", the same but for its checksum.
 *
 * Invariant: see generic.h, whose kernels these are.
 */
#include "../core/checksum.h"
#include "generic.h"

#define PLAIN_KERNELS(name, crc32c)                                                                          \
  {name, {quantize_f32, quantize_f64, quantize_f16, quantize_bf16}, statistics, to_wide, from_wide, extent, divide, join, count, \
   weigh, significands, to_image, split, encode_any, {decode_f32, decode_f64, decode_f16, decode_bf16, decode_i32}, crc32c, affine, ROW_KERNELS}

const ac_kernels ac_kernels_scalar = PLAIN_KERNELS("scalar", ac_crc32c);

#if defined(__x86_64__)
#include "crc32c_x86.h"

const ac_kernels ac_kernels_sse42 = PLAIN_KERNELS("sse4.2", crc32c_sse42);
#endif
