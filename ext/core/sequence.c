/* sequence.c: coder of the class sequence: fixed-width bits, or rANS of order 0 or 1 with 8-bit
 * probabilities and four lanes.  A few thousand symbols a block, so plain C is enough.
 *
 * Invariants: symbol i is coded in lane i mod 4; of order 1, its context is symbol i - 1 (0 for
 * the first); lanes start and end at AC_STATE_MIN.
 */
#include "sequence.h"

#include "../arraycodec.h"

enum { LANES = 4, P = 8 };

static unsigned bits_for(unsigned n_classes) { return 32 - (unsigned)__builtin_clz(n_classes - 1); }

/* counts[context][symbol]; order 0 uses context 0 */
static void count(const uint8_t *classes, uint32_t n, unsigned order, uint32_t counts[AC_MAX_CLASSES][AC_MAX_CLASSES]) {
  unsigned context = 0;
  memset(counts, 0, AC_MAX_CLASSES * sizeof *counts);
  for (uint32_t i = 0; i < n; i++) {
    counts[context][classes[i]]++;
    context = order ? classes[i] : 0;
  }
}

/* The models of an order: one of order 0, else one for each context. */
typedef struct {
  uint16_t freq[AC_MAX_CLASSES][AC_MAX_CLASSES];
  ac_table tables[AC_MAX_CLASSES];
  uint64_t bits; /* of all that is written */
} models;

/* A model needs two symbols: contexts that saw fewer get a neighbour that never comes. */
static void make_models(const uint8_t *classes, uint32_t n, unsigned n_classes, unsigned order, int search, models *m) {
  uint32_t counts[AC_MAX_CLASSES][AC_MAX_CLASSES];
  count(classes, n, order, counts);
  m->bits = LANES * 24; /* states, less what they carry */
  for (unsigned c = 0; c < (order ? n_classes : 1); c++) {
    unsigned seen = 0, last = 0, table_bits;
    for (unsigned s = 0; s < n_classes; s++)
      if (counts[c][s]) {
        seen++;
        last = s;
      }
    if (seen == 0) counts[c][0] = 1 << 16;
    if (seen < 2) counts[c][last ? 0 : 1] = 1;
    const double bits = ac_model_choose(counts[c], n_classes, P, 1, search, 0, m->freq[c], &m->tables[c], &table_bits);
    m->bits += (uint64_t)(bits + table_bits);
  }
}

unsigned ac_sequence_write(ac_writer *out, const uint8_t *classes, uint32_t n, unsigned n_classes, int search,
                           uint8_t *scratch) {
  models of_order[2];
  uint64_t least = (uint64_t)bits_for(n_classes) * n;
  unsigned method = AC_SEQUENCE_FIXED;
  for (unsigned order = 0; order < 2; order++) {
    make_models(classes, n, n_classes, order, search, &of_order[order]);
    if (of_order[order].bits >= least) continue;
    least = of_order[order].bits;
    method = order ? AC_SEQUENCE_ORDER1 : AC_SEQUENCE_ORDER0;
  }
  ac_bitwriter bits = {out, 0, 0};
  if (method == AC_SEQUENCE_FIXED) {
    for (uint32_t i = 0; i < n; i++) ac_write_bits(&bits, classes[i], bits_for(n_classes));
    ac_flush_bits(&bits);
    return method;
  }
  const unsigned order = method == AC_SEQUENCE_ORDER1;
  const models *const m = &of_order[order];
  ac_symbol symbols[AC_MAX_CLASSES][AC_MAX_CLASSES];
  for (unsigned c = 0; c < (order ? n_classes : 1); c++) {
    ac_model_write(&bits, &m->tables[c], n_classes);
    ac_model_encoder(m->freq[c], n_classes, P, symbols[c]);
  }
  ac_flush_bits(&bits);

  uint32_t x[LANES] = {AC_STATE_MIN, AC_STATE_MIN, AC_STATE_MIN, AC_STATE_MIN};
  uint8_t *const end = scratch + AC_SEQUENCE_SCRATCH, *p = end;
  for (uint32_t i = n; i-- > 0;) {
    const ac_symbol *s = &symbols[order && i ? classes[i - 1] : 0][classes[i]];
    uint32_t y = x[i % LANES];
    if (y > s->limit) {
      p -= 2;
      ac_store16(p, (uint16_t)y);
      y >>= 16;
    }
    x[i % LANES] = ac_symbol_push(s, y, P);
  }
  for (unsigned j = 0; j < LANES; j++) ac_write32(out, x[j]);
  ac_write_varint(out, (uint64_t)(end - p) / 2);
  uint8_t *words = ac_give(out, (size_t)(end - p));
  if (words) memcpy(words, p, (size_t)(end - p));
  return method;
}

void ac_sequence_read(ac_reader *in, unsigned method, uint8_t *classes, uint32_t n, unsigned n_classes) {
  ac_bitreader bits = {in, 0, 0};
  memset(classes, 0, n);
  if (method == AC_SEQUENCE_FIXED) {
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t c = ac_read_bits(&bits, bits_for(n_classes));
      if (c >= n_classes) goto invalid;
      classes[i] = (uint8_t)c;
    }
    ac_end_bits(&bits);
    return;
  }
  if (method != AC_SEQUENCE_ORDER0 && method != AC_SEQUENCE_ORDER1) goto invalid;
  const unsigned order = method == AC_SEQUENCE_ORDER1, contexts = order ? n_classes : 1;
  uint16_t freq[AC_MAX_CLASSES];
  uint32_t tables[(AC_MAX_CLASSES << P) + AC_TABLE_SLACK], x[LANES];
  for (unsigned c = 0; c < contexts; c++) {
    ac_model_read(&bits, n_classes, P, 0, freq);
    if (in->failed) return;
    ac_model_decoder(freq, n_classes, P, tables + (c << P));
  }
  ac_end_bits(&bits);
  for (unsigned j = 0; j < LANES; j++) {
    x[j] = ac_read32(in);
    if (x[j] < AC_STATE_MIN && !in->failed) goto invalid;
  }
  const uint64_t n_words = ac_read_varint(in);
  if (n_words > n) goto invalid;
  const uint8_t *coded = ac_take(in, 2 * (size_t)n_words);
  if (in->failed) return;
  /* A copy with room behind it: a lane then always looks at the next word, and keeps it or not. */
  uint8_t words[2 * (AC_MAX_BLOCK / 64) + 2] = {0};
  memcpy(words, coded, 2 * (size_t)n_words);
  size_t used = 0;
  uint32_t context = 0; /* << P, as it stands in a table entry */
  const uint32_t contexts_mask = order ? (AC_MAX_CLASSES - 1) << P : 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t *lane = &x[i % LANES];
    const uint32_t e = tables[context + (*lane & ((1u << P) - 1))];
    *lane = ac_refill(ac_entry_advance(e, *lane, P), words, &used);
    context = e & contexts_mask;
    classes[i] = (uint8_t)ac_entry_symbol(e, P);
  }
  if (used != n_words) goto invalid;
  for (unsigned j = 0; j < LANES; j++)
    if (x[j] != AC_STATE_MIN) goto invalid;
  return;
invalid:
  if (!in->failed) in->failed = AC_E_FORMAT;
}
