/* checksum.h: CRC32C (Castagnoli polynomial, RFC 3720 appendix B.4). */
#ifndef AC_CHECKSUM_H
#define AC_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>

uint32_t ac_crc32c(const void *data, size_t size);
#endif
