/* model.h: static entropy models: symbol counts -> frequencies summing to 2^P -> coder tables,
 * and their compact form in the stream.
 *
 * Invariant of every model: K >= 2 symbols, frequencies sum to exactly 2^P, none equals 2^P (a
 * sure symbol is a class or mode of its own), so a frequency fits P bits.
 */
#ifndef AC_MODEL_H
#define AC_MODEL_H
#include <stdint.h>

#include "bytes.h"

#define AC_MAX_TOKENS 64
#define AC_STATE_MIN 0x10000u /* rANS states lie in [2^16, 2^32); coding starts and ends at 2^16 */

/* Decoder entry, one gather: freq << (32-P) | symbol << P | bias, with bias = slot - start.
 * P <= 13 leaves at least 6 bits for the symbol. */
static inline uint32_t ac_entry(uint32_t freq, uint32_t bias, uint32_t symbol, unsigned P) {
  return freq << (32 - P) | symbol << P | bias;
}
static inline uint32_t ac_entry_symbol(uint32_t e, unsigned P) { return e >> P & ((1u << (32 - 2 * P)) - 1); }
/* The state after the symbol, before renormalization. */
static inline uint32_t ac_entry_advance(uint32_t e, uint32_t x, unsigned P) {
  return (e >> (32 - P)) * (x >> P) + (e & ((1u << P) - 1));
}

/* Renormalize: if (y < 2^16) { y = y << 16 | *word; at++; }  Whether a word is used is random, so it
 * must not become a branch (measured: 2.5 times the time); compilers insist, hence the assembly. */
static inline uint32_t ac_refill(uint32_t y, const uint8_t *words, size_t *at) {
  const uint32_t more = y << 16 | ac_load16(words + 2 * *at);
#if defined(__x86_64__)
  size_t next = *at;
  __asm__("cmpl %3, %0\n\tcmovb %2, %0\n\tadcq $0, %1" : "+r"(y), "+r"(next) : "r"(more), "i"(AC_STATE_MIN) : "cc");
  *at = next;
  return y;
#else
  uint32_t mask = 0u - (uint32_t)(y < AC_STATE_MIN);
  __asm__("" : "+r"(mask));
  *at += mask & 1;
  return y ^ ((y ^ more) & mask);
#endif
}

/* Encoder entry.  A state y that is below freq * 2^(32-P) becomes
 * (y / freq) * 2^P + y % freq + start = y + start + (y / freq) * (2^P - freq),
 * and the division is a multiplication by ceil(2^(32+P) / freq) (R. Alverson, "Integer division using
 * reciprocals", ARITH 1991): the reciprocal is too large by less than 1, hence y / freq by less than
 * y / 2^(32+P) < 1 / freq, and the product stays below 2^64. */
typedef struct {
  uint64_t reciprocal;
  uint32_t limit; /* states above it emit a word first */
  uint32_t start;
  uint32_t complement; /* 2^P - freq */
  uint32_t pad[3];     /* to 32 bytes: an index is one shift */
} ac_symbol;

static inline uint32_t ac_symbol_push(const ac_symbol *s, uint32_t y, unsigned P) {
  return y + s->start + (uint32_t)(y * s->reciprocal >> (32 + P)) * s->complement;
}

/* Frequencies for counts; count[i] = 0 gives 0, everything else at least 1.  Needs at least two
 * nonzero counts and K <= 2^P. */
void ac_model_normalize(const uint32_t *count, unsigned K, unsigned P, uint16_t *freq);

/* How a table is written: all bits of the frequencies, some of their leading ones, or a curve. */
enum { AC_TABLE_EXACT = 7 /* fewer: so many bits after the leading one */, AC_TABLE_CURVE = 8 };
typedef struct {
  uint8_t kind, order;
  uint8_t shape, scale, centre; /* of a curve */
  uint16_t code[AC_MAX_TOKENS]; /* of others */
} ac_table;

/* Frequencies for counts (as ac_model_normalize) that cost least with their table, and how it is written.  Each
 * count stands for `weight` symbols; returns the bits of the symbols, and those of the table in *table_bits.
 * `search`: 0, the table is exact; 1, others are tried where the exact one takes much; 2, they are. */
double ac_model_choose(const uint32_t *count, unsigned K, unsigned P, double weight, int search, int curves, uint16_t *freq,
                       ac_table *table, unsigned *table_bits);

/* Bits that a table takes. */
unsigned ac_model_table_bits(const ac_table *table, unsigned K);

void ac_model_write(ac_bitwriter *out, const ac_table *table, unsigned K);
/* Sets in->bytes->failed unless the frequencies satisfy the invariant.  `curve`: it is one. */
void ac_model_read(ac_bitreader *in, unsigned K, unsigned P, int curve, uint16_t *freq);

#define AC_TABLE_SLACK 8
void ac_model_decoder(const uint16_t *freq, unsigned K, unsigned P, uint32_t *table /* 2^P + AC_TABLE_SLACK */);
void ac_model_encoder(const uint16_t *freq, unsigned K, unsigned P, ac_symbol *table /* K */);

/* log2(v) in units of 2^-16, v >= 1: integers only, so that encoder choices (and bytes) do not
 * depend on the C library. */
uint32_t ac_log2(uint32_t v);
#endif
