/* coders.h: entropy coders and entropy models as a library; what ext/python/_coders.pyx calls.
 *
 * Models quantize a distribution to integers that sum to 2^P (families.c for a distribution per symbol, table.c for
 * one distribution and many symbols); coders turn symbols of models into words and back (stack.c, chain.c, queue.c;
 * lanes.c for many at once).  Words, states and P come in two presets.  Nothing here knows of the format of chunks, and nothing of the core is
 * used: the two share only the build.
 *
 * Streams are those of the library constriction (https://bamler-lab.github.io/constriction), version 0.5.
 */
#ifndef ACC_CODERS_H
#define ACC_CODERS_H

#include <stddef.h>
#include <stdint.h>

/* Presets: words of 32 bits, states of 64, P = 24; or words of 16, states of 32, P = 12. */
enum { ACC_DEFAULT, ACC_SMALL, ACC_PRESETS };
int acc_precision(int preset);
size_t acc_word_size(int preset);

enum {
  ACC_OK,
  ACC_E_MEMORY,
  ACC_E_SYMBOL,      /* not in the support of its model */
  ACC_E_LOCATION,    /* not finite */
  ACC_E_SCALE,       /* not positive and finite */
  ACC_E_PROBABILITY, /* negative or not a number */
  ACC_E_SUM,         /* of probabilities: zero, subnormal, infinite; of frequencies: not 2^P */
  ACC_E_COUNT,       /* of symbols: below 2 or too many for P */
  ACC_E_MODEL,       /* some symbol is left without a probability */
  ACC_E_END,         /* a chain coder has no more compressed words */
  ACC_E_REMAINDERS,  /* a chain coder has no more remainders */
  ACC_E_DATA,        /* words that no range encoder writes */
  ACC_E_CALLBACK     /* a callback failed */
};

/* The part of the 2^P quantiles that a symbol has: left .. left + size - 1.  size is never 0. */
typedef struct {
  uint32_t left, size;
} acc_slot;

/* --- Families: a distribution per symbol --- */

/* ACC_FREQUENCIES: integers that sum to 2^P, as they are; it is not a family, and always has a table. */
enum {
  ACC_CATEGORICAL,
  ACC_FREQUENCIES,
  ACC_BERNOULLI,
  ACC_UNIFORM,
  ACC_GAUSSIAN,
  ACC_LAPLACE,
  ACC_CAUCHY,
  ACC_CUSTOM
};

/* A model, or a family with parameters in arrays.  A step of 0 means that all symbols share the parameter. */
typedef struct {
  int kind, precision;
  int perfect;       /* categorical, Bernoulli: by exchanges rather than by rounding */
  int f32;           /* categorical: probabilities are float, and cumulated as float, else double */
  int32_t min, max;  /* quantized distributions: the support */
  const double *a, *b; /* location and scale; Bernoulli: the probability of 1 */
  size_t a_step, b_step;
  const int32_t *sizes; /* uniform; frequencies: of all symbols */
  size_t sizes_step;
  const void *rows; /* categorical: `width` probabilities per symbol; frequencies: width is their number */
  size_t width, row_step;
  void *scratch; /* acc_scratch_size bytes; categorical only */
  size_t count;  /* of rows */
  /* four rows that are in the scratch: from cached - 1 on, or 0: none */
  size_t cached;
  double scale[4];
  int status[4];
} acc_family;

size_t acc_scratch_size(const acc_family *family);

/* The slot of each symbol under the model of its place; at an error, bad is the place. */
int acc_family_slots(acc_family *family, const int32_t *symbols, size_t n, acc_slot *slots, size_t *bad);

/* The symbol and slot of a quantile, for distributions of the caller: `left` gives the left end of a symbol between min
 * and max, and fails with ACC_E_CALLBACK.  The search starts at the guess, which may be anything. */
typedef int (*acc_left)(void *context, int64_t symbol, uint32_t *left);
int acc_search(acc_left left, void *context, int precision, int32_t min, int32_t max, double guess, uint32_t quantile,
               int32_t *symbol, acc_slot *slot);

/* 2^P less one quantile for each symbol but the first, times a cumulated probability: the leaky part of a left end. */
uint32_t acc_leaky(double cumulated, int precision, int32_t min, int32_t max, int64_t symbol);

/* Left ends of a support of n symbols and then 2^P: n + 1 numbers; of model 0 of the family. */
int acc_family_size(const acc_family *family, size_t *n);
int acc_family_cdf(const acc_family *family, uint32_t *cdf, size_t n);

/* --- Tables: one distribution, many symbols --- */

/* How to divide by the size of a slot: see table.c. */
typedef struct {
  uint64_t factor;
  uint32_t left_shift_add; /* left | shift << 24 | add << 29 */
  uint32_t size;
} acc_divisor;

typedef struct {
  int precision;
  int32_t min;
  size_t n;
  uint32_t *cdf;       /* n + 1 */
  uint32_t *first;     /* for each leading bits of a quantile the first symbol that may have it; or NULL */
  uint64_t *direct;    /* and the slot of that symbol: size << 40 | left << 16 | symbol; NULL if some do not fit */
  unsigned shift;      /* how many bits do not lead */
  acc_divisor *divide; /* n; or NULL */
} acc_table;

void acc_table_free(acc_table *table);
int acc_table_make(acc_table *table, const acc_family *family);
int acc_table_make_first(acc_table *table);
int acc_table_make_divide(acc_table *table);
/* Slots of symbols; bad is the place of the first that is outside of the support. */
int acc_table_slots(const acc_table *table, const int32_t *symbols, size_t n, acc_slot *slots, size_t *bad);

/* --- Coders --- */

typedef struct {
  void *data; /* of the preset's words */
  size_t len, cap;
} acc_words;

/* State of any coder; which fields mean what, see stack.c, chain.c, queue.c. */
typedef struct {
  acc_words words, rest;
  uint64_t state, head, point;
  uint64_t pos, waiting;
  uint32_t first_waiting;
} acc_coder;

/* Symbol and slot of the i-th quantile; an error ends decoding, with the coder as it was. */
typedef int (*acc_find)(void *context, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot);

/* Those of an acc_family, and of an acc_table. */
int acc_find_in_family(void *family, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot);
int acc_find_in_table(void *table, size_t i, uint32_t quantile, int32_t *symbol, acc_slot *slot);

/* What a coder can do, in its order: a stack takes the last symbol first.  At an error the coder is as it was before,
 * and bad is the place of the symbol. */
typedef struct {
  int (*encode_table)(acc_coder *, const acc_table *, const int32_t *symbols, size_t n, size_t *bad);
  int (*encode_slots)(acc_coder *, const acc_slot *, size_t n, size_t *bad);
  int (*decode_table)(acc_coder *, const acc_table *, int32_t *symbols, size_t n, size_t *bad);
  int (*decode_each)(acc_coder *, acc_find, void *context, int32_t *symbols, size_t n, size_t *bad);
} acc_ops;

enum { ACC_STACK, ACC_CHAIN, ACC_ENCODER, ACC_DECODER };
const acc_ops *acc_ops_of(int coder, int preset);

int acc_words_copy(acc_words *to, const acc_words *from, size_t word_size);
int acc_words_set(acc_words *to, const void *data, size_t len, size_t word_size);
void acc_coder_free(acc_coder *coder);

/* stack.c: all but decoding and encoding.  `sealed`: the words may be anything, and a bit is set above them. */
int acc_stack_open(acc_coder *coder, int preset, int sealed); /* takes the state from the end of words; 0: it cannot */
/* The words that the state adds to the others; -1 if it is not sealed. */
int acc_stack_tail(const acc_coder *coder, int preset, int sealed, uint32_t tail[2]);

/* chain.c */
enum { ACC_CHAIN_PLAIN, ACC_CHAIN_SEALED, ACC_CHAIN_REMAINDERS };
int acc_chain_open(acc_coder *coder, int preset, int how);
/* The words to add to remainders (ACC_CHAIN_REMAINDERS) or to compressed words; -1 if there is no whole number. */
int acc_chain_tail(const acc_coder *coder, int preset, int how, uint32_t tail[3]);

/* queue.c */
void acc_encoder_open(acc_coder *coder, int preset);
/* The words that finish a stream: first, then middle `repeat` times, then last, then a zero if `zero`; 0: none. */
typedef struct {
  int any, inverted, zero;
  uint32_t first, middle, last;
  uint64_t repeat;
} acc_ending;
void acc_encoder_ending(const acc_coder *coder, int preset, acc_ending *ending);
void acc_decoder_open(acc_coder *coder, int preset, uint64_t pos);
int acc_decoder_exhausted(const acc_coder *coder, int preset);

/* lanes.c: `n` stacks that share their words, heads of two words each. */
typedef struct {
  acc_words words;
  void *heads; /* uint32_t or uint64_t */
  size_t n;
  int preset; /* for the size of words; precision is that of the tables, at most the bits of a word */
} acc_lanes;

/* A symbol for each lane, all with the model of a table that has `divide`, or `first`.  At an error nothing is
 * changed, and bad is the lane. */
int acc_lanes_push(acc_lanes *lanes, const acc_table *table, const int32_t *symbols, size_t *bad);
int acc_lanes_pop(acc_lanes *lanes, const acc_table *table, int32_t *symbols, size_t *bad);

#endif
