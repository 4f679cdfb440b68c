#if defined(__x86_64__)
#include "generic.h"
#include "crc32c_x86.h"
const ac_kernels ac_kernels_avx2 = {"avx2", quantize_f32, quantize_f64, count,     split,
                                      encode_any, decode_f32,   decode_f64,   crc32c_sse42};
#endif
