/* plain.c: see plain.h.  In the place of tokens, raw bits and rANS, for readers that have nothing but a loop: LEB128 (DWARF
 * 5, 7.6), seven bits a byte, the lowest first, the highest bit of a byte set if another follows.  Zigzag codes, 0 -1 1 -2 2,
 * keep small negative numbers short.  Both ways by pieces, whose integers stay in L1.
 *
 * Invariants: no integer that is decoded has more than 32 bits, none takes more bytes than it needs (the kernel sees to that),
 * and the n-th ends where the bytes do.
 */
#include "plain.h"

#include "../simd/kernels.h"

enum { PIECE = 1024 };

int ac_plain_write(ac_writer *out, const int32_t *q, uint32_t n) {
  const ac_kernels *kernels = ac_active_kernels();
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    uint8_t copy[AC_VARINT_MOST * PIECE]; /* where they may need more room than there is */
    uint8_t *const to = (size_t)(out->end - out->p) < AC_VARINT_MOST * m ? copy : out->p;
    const size_t size = (size_t)(kernels->write_varints(q + from, m, to) - to);
    uint8_t *const p = ac_give(out, size);
    if (!p) return 0;
    if (p != to) memcpy(p, to, size);
  }
  return 1;
}

int ac_plain_decode(const uint8_t *p, const uint8_t *end, uint32_t n, int out, double delta, void *dst) {
  static const uint8_t size[AC_INS] = {[AC_OUT_F32] = 4, [AC_OUT_F64] = 8, [AC_OUT_F16] = 2, [AC_OUT_BF16] = 2};
  const ac_kernels *kernels = ac_active_kernels();
  for (uint32_t from = 0; from < n; from += PIECE) {
    const uint32_t m = n - from < PIECE ? n - from : PIECE;
    int32_t piece[PIECE], *const q = out == AC_OUT_I32 ? (int32_t *)dst + from : piece;
    p = kernels->read_varints(p, end, m, q);
    if (!p) return AC_E_FORMAT;
    if (out != AC_OUT_I32) kernels->scale[out](q, delta, m, (uint8_t *)dst + (size_t)size[out] * from);
  }
  return p == end ? AC_OK : AC_E_FORMAT;
}
