/* model.c: frequency tables.  Used by the windows stage for tokens and by the group sequence.
 *
 * Invariants: see model.h.  A table is written as exp-Golomb coded differences of neighbouring
 * frequencies (J. Teuhola, "A compression method for clustered bit-vectors", 1978; the order is
 * chosen by cost); the reader refuses whatever does not sum to 2^P.
 */
#include "model.h"

#include <math.h>

#include "../arraycodec.h"

/* 2^16 log2(1 + i/256) */
static const uint32_t LOG2_TABLE[257] = {
    0, 369, 736, 1102, 1466, 1829, 2190, 2551, 2909, 3267, 3623, 3978, 4331, 4683, 5034, 5384,
    5732, 6079, 6425, 6769, 7112, 7454, 7795, 8134, 8473, 8810, 9146, 9480, 9814, 10146, 10477, 10807,
    11136, 11464, 11791, 12116, 12440, 12764, 13086, 13407, 13727, 14046, 14363, 14680, 14996, 15310, 15624, 15937,
    16248, 16559, 16868, 17177, 17484, 17791, 18096, 18401, 18704, 19007, 19308, 19609, 19909, 20207, 20505, 20802,
    21098, 21393, 21687, 21980, 22272, 22564, 22854, 23144, 23433, 23720, 24007, 24293, 24579, 24863, 25146, 25429,
    25711, 25992, 26272, 26551, 26830, 27108, 27384, 27660, 27936, 28210, 28484, 28757, 29029, 29300, 29571, 29840,
    30109, 30378, 30645, 30912, 31178, 31443, 31707, 31971, 32234, 32496, 32758, 33019, 33279, 33538, 33797, 34055,
    34312, 34569, 34825, 35080, 35334, 35588, 35841, 36094, 36346, 36597, 36847, 37097, 37346, 37595, 37842, 38090,
    38336, 38582, 38827, 39072, 39316, 39559, 39802, 40044, 40286, 40527, 40767, 41006, 41246, 41484, 41722, 41959,
    42196, 42432, 42667, 42902, 43137, 43370, 43603, 43836, 44068, 44300, 44530, 44761, 44990, 45220, 45448, 45676,
    45904, 46131, 46357, 46583, 46809, 47034, 47258, 47482, 47705, 47928, 48150, 48372, 48593, 48813, 49034, 49253,
    49472, 49691, 49909, 50127, 50344, 50560, 50776, 50992, 51207, 51422, 51636, 51850, 52063, 52276, 52488, 52700,
    52911, 53122, 53332, 53542, 53751, 53960, 54169, 54377, 54584, 54791, 54998, 55204, 55410, 55615, 55820, 56025,
    56229, 56432, 56635, 56838, 57040, 57242, 57443, 57644, 57845, 58045, 58245, 58444, 58643, 58841, 59039, 59237,
    59434, 59631, 59827, 60023, 60219, 60414, 60609, 60803, 60997, 61190, 61384, 61576, 61769, 61961, 62152, 62343,
    62534, 62725, 62915, 63104, 63294, 63483, 63671, 63859, 64047, 64234, 64421, 64608, 64794, 64980, 65166, 65351,
    65536};

uint32_t ac_log2(uint32_t v) {
  const unsigned e = 31 - (unsigned)__builtin_clz(v);
  const uint32_t m = v << (31 - e); /* 1.31 fixed point */
  const uint32_t i = m >> 23 & 255, f = m >> 7 & 65535;
  return (e << 16) + LOG2_TABLE[i] + (((LOG2_TABLE[i + 1] - LOG2_TABLE[i]) * f) >> 16);
}

/* What adding one to a frequency gains (up), or taking one from it; -infinity where that is not allowed. */
static double change(uint32_t count, uint16_t freq, int up, double half, uint32_t total) {
  if (!freq || (up ? freq >= total - 1 : freq < 2)) return -HUGE_VAL;
  const double nats = count / (freq + half);
  return up ? nats : -nats;
}

void ac_model_normalize(const uint32_t *count, unsigned K, unsigned P, uint16_t *freq) {
  const uint32_t total = 1u << P;
  uint64_t n = 0;
  uint32_t sum = 0;
  for (unsigned i = 0; i < K; i++) n += count[i];
  for (unsigned i = 0; i < K; i++) {
    uint64_t f = count[i] ? (count[i] * (uint64_t)total + n / 2) / n : 0;
    if (count[i] && f < 1) f = 1;
    if (f > total - 1) f = total - 1;
    freq[i] = (uint16_t)f;
    sum += (uint32_t)f;
  }
  if (sum == total) return;
  /* Give or take one at a time where the code length changes least: adding one to f saves about
   * c / (f + 1/2) nats, taking one costs about c / (f - 1/2). */
  const int up = sum < total;
  const double half = up ? 0.5 : -0.5;
  double gain[AC_MAX_TOKENS];
  for (unsigned i = 0; i < K; i++) gain[i] = change(count[i], freq[i], up, half, total);
  while (sum != total) {
    unsigned best = 0;
    for (unsigned i = 1; i < K; i++)
      if (gain[i] > gain[best]) best = i;
    freq[best] = (uint16_t)(freq[best] + (up ? 1 : -1));
    sum += up ? 1u : -1u;
    gain[best] = change(count[best], freq[best], up, half, total);
  }
}

static unsigned golomb_bits(uint32_t v, unsigned order) {
  const uint32_t u = v + (1u << order);
  return 2 * (31 - (unsigned)__builtin_clz(u)) - order + 1;
}

static uint32_t difference(const uint16_t *freq, unsigned i) {
  return (uint32_t)ac_zigzag((int32_t)freq[i] - (i ? freq[i - 1] : 0));
}

void ac_model_write(ac_bitwriter *out, const uint16_t *freq, unsigned K) {
  unsigned order = 0, least = ~0u;
  for (unsigned o = 0; o < 8; o++) {
    unsigned bits = 0;
    for (unsigned i = 0; i < K; i++) bits += golomb_bits(difference(freq, i), o);
    if (bits < least) {
      least = bits;
      order = o;
    }
  }
  ac_write_bits(out, order, 3);
  for (unsigned i = 0; i < K; i++) {
    const uint32_t u = difference(freq, i) + (1u << order);
    const unsigned top = 31 - (unsigned)__builtin_clz(u), zeros = top - order;
    ac_write_bits(out, 1u << zeros, zeros + 1);
    ac_write_bits(out, u & ((1u << top) - 1), top);
  }
}

void ac_model_read(ac_bitreader *in, unsigned K, unsigned P, uint16_t *freq) {
  const int32_t total = 1 << P;
  const unsigned order = ac_read_bits(in, 3);
  int32_t f = 0, sum = 0;
  for (unsigned i = 0; i < K; i++) {
    unsigned zeros = 0;
    while (!ac_read_bits(in, 1) && zeros < 16) zeros++;
    if (zeros == 16 || in->bytes->failed) goto invalid;
    const unsigned top = zeros + order;
    const uint32_t u = (1u << top | ac_read_bits(in, top)) - (1u << order);
    f += (int32_t)ac_unzigzag(u);
    if (f < 0 || f >= total) goto invalid;
    freq[i] = (uint16_t)f;
    sum += f; /* at most 64 * 2^13 */
  }
  if (sum == total) return;
invalid:
  if (!in->bytes->failed) in->bytes->failed = AC_E_FORMAT;
}

/* Slots by eights: what that writes past a symbol the next one overwrites. */
void ac_model_decoder(const uint16_t *freq, unsigned K, unsigned P, uint32_t *table) {
  for (unsigned s = 0; s < K; s++, table += freq[s - 1]) {
    const uint32_t first = ac_entry(freq[s], 0, s, P);
    for (uint32_t i = 0; i < freq[s]; i += AC_TABLE_SLACK)
      for (uint32_t j = 0; j < AC_TABLE_SLACK; j++) table[i + j] = first + i + j;
  }
}

void ac_model_encoder(const uint16_t *freq, unsigned K, unsigned P, ac_symbol *table) {
  uint32_t start = 0;
  for (unsigned s = 0; s < K; s++) {
    const uint32_t f = freq[s];
    if (!f) continue; /* never coded */
    table[s] = (ac_symbol){((1ull << (32 + P)) + f - 1) / f, (f << (32 - P)) - 1, start, (1u << P) - f, {0}};
    start += f;
  }
}
