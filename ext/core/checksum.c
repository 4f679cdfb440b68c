/* checksum.c: CRC32C by slicing-by-8 (M. Kounavis and F. Berry, "A Systematic Approach to Building
 * High Performance Software-based CRC Generators", ISCC 2005), eight bytes a step.
 *
 * Each of the eight 256-entry tables is linear over GF(2): entry i is the XOR of one constant per
 * set bit of i, so eight constants and a macro spell a table out at compile time.
 * Invariant: the checksum of a chunk never depends on which implementation computed it.
 */
#include "checksum.h"

#include "bytes.h"

#define BIT(i, n, c) (((i) >> (n)) & 1 ? (c) : 0u)
#define ONE(i, a, b, c, d, e, f, g, h) \
  (BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^ BIT(i, 6, g) ^ BIT(i, 7, h))
#define FOUR(i, ...) ONE(i, __VA_ARGS__), ONE(i + 1, __VA_ARGS__), ONE(i + 2, __VA_ARGS__), ONE(i + 3, __VA_ARGS__)
#define SIXTEEN(i, ...) FOUR(i, __VA_ARGS__), FOUR(i + 4, __VA_ARGS__), FOUR(i + 8, __VA_ARGS__), FOUR(i + 12, __VA_ARGS__)
#define SIXTY4(i, ...) SIXTEEN(i, __VA_ARGS__), SIXTEEN(i + 16, __VA_ARGS__), SIXTEEN(i + 32, __VA_ARGS__), SIXTEEN(i + 48, __VA_ARGS__)
#define BYTES(...) {SIXTY4(0u, __VA_ARGS__), SIXTY4(64u, __VA_ARGS__), SIXTY4(128u, __VA_ARGS__), SIXTY4(192u, __VA_ARGS__)}

/* T[k][b]: the effect of byte b followed by k zero bytes. */
static const uint32_t T[8][256] = {
    BYTES(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    BYTES(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    BYTES(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    BYTES(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    BYTES(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    BYTES(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    BYTES(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    BYTES(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664)};

uint32_t ac_crc32c(const void *data, size_t size) {
  const uint8_t *p = data;
  uint32_t crc = 0xFFFFFFFFu;
  for (; size >= 8; size -= 8, p += 8) {
    const uint64_t v = ac_load64(p) ^ crc;
    crc = T[7][v & 255] ^ T[6][v >> 8 & 255] ^ T[5][v >> 16 & 255] ^ T[4][v >> 24 & 255] ^
          T[3][v >> 32 & 255] ^ T[2][v >> 40 & 255] ^ T[1][v >> 48 & 255] ^ T[0][v >> 56];
  }
  for (; size; size--) crc = crc >> 8 ^ T[0][(crc ^ *p++) & 255];
  return ~crc;
}
