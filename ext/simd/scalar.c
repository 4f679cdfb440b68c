/* scalar.c: the table "scalar", plain C for every machine, and "sse4.2", the same but for its checksum.
 *
 * Invariant: see generic.h, whose kernels these are.
 */
#include "../core/checksum.h"
#include "generic.h"

const ac_kernels ac_kernels_scalar = {"scalar", quantize_f32, quantize_f64, count,     split,
                                      encode_any, decode_f32,   decode_f64,   ac_crc32c};

#if defined(__x86_64__)
#include "crc32c_x86.h"

const ac_kernels ac_kernels_sse42 = {"sse4.2",   quantize_f32, quantize_f64, count,       split,
                                     encode_any, decode_f32,   decode_f64,   crc32c_sse42};
#endif
