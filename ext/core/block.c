/* block.c: one block of at most 2^18 values, encoded and decoded independently of all others.  Between the
 * stages and the frame: it knows what is masked, which modes there are and what each stores, nothing of
 * chunks.
 *
 *   mode | mask, or order, copies, and of the other values:
 *     raw       the values
 *     constant  one value
 *     uniform   windows section of quantized floats
 *     exact     wide integers, bit for bit
 *     lattice   wide integers: integers with a tolerance, floats with a relative bound
 *     affine    windows section of the integers that packed floats were made of
 *     predicted residuals of predictions on a lattice, or of integers (field.h); its mask leaves all places where they are
 *     split     residuals of predictions of integers that floats are made of, and the bits that these leave out (split.h)
 *
 * Between mask or order and the values of uniform and predicted blocks a list of fine values may stand (fine.h).
 *
 * Invariants: an encoded block is never larger than a raw one (one byte more than its values); the decoder
 * checks every length before it reads, and every value of a block is written.
 */
#include "block.h"
#include "field.h"

#include "affine.h"
#include "copies.h"
#include "order.h"

enum { MODE = 7, HAS_MASK = 8, HAS_ORDER = 16, HAS_FINE = 32, HAS_COPIES = 64 };

/* ---- encode ---- */
static int out_of(const ac_type *type) {
  switch (type->dtype) {
    case AC_FLOAT32: return AC_OUT_F32;
    case AC_FLOAT64: return AC_OUT_F64;
    case AC_FLOAT16: return AC_OUT_F16;
    default: return AC_OUT_BF16;
  }
}

/* The mode that stores what the chunk's tolerance permits. */
static int mode_of(const ac_scale *scale) {
  if (scale->type->kind != AC_KIND_FLOAT) return scale->whole ? AC_MODE_LATTICE : AC_MODE_EXACT;
  return scale->relative ? AC_MODE_LATTICE : scale->lattice.delta != 0 ? AC_MODE_UNIFORM : AC_MODE_EXACT;
}

static int all_equal(const uint8_t *src, uint32_t n, size_t size) { return !memcmp(src, src + size, (n - 1) * size); }

/* A value of which a sample has many copies; 0 if there is none.  Among integers it must stand in runs:
 * else a window holds it as well as a mask.  (Zeros among floats are far from all others.) */
enum { VALUE_SAMPLE = 256, MANY = 6 };
static int common_value(const uint8_t *src, uint32_t n, const ac_type *type, uint64_t *value) {
  const unsigned size = type->size;
  uint64_t seen[VALUE_SAMPLE];
  uint8_t in_run[VALUE_SAMPLE];
  if (n < 2 * VALUE_SAMPLE) return 0;
  for (uint32_t i = 0; i < VALUE_SAMPLE; i++) { /* golden-section multiples, as in ac_histogram_takes */
    const uint32_t at = (uint32_t)((uint64_t)(i * 0x9e3779b9u) * (n - 1) >> 32);
    const uint8_t *x = src + (size_t)at * size;
    seen[i] = 0;
    memcpy(&seen[i], x, size);
    in_run[i] = !memcmp(x, x + size, size);
  }
  unsigned most = 0, most_in_runs = 0;
  for (unsigned i = 0; i + MANY <= VALUE_SAMPLE && most < VALUE_SAMPLE / 2; i++) {
    unsigned copies = 1, runs = in_run[i];
    for (unsigned j = i + 1; j < VALUE_SAMPLE; j++) {
      copies += seen[j] == seen[i];
      runs += seen[j] == seen[i] && in_run[j];
    }
    if (copies > most) {
      most = copies;
      most_in_runs = runs;
      *value = seen[i];
    }
  }
  return most >= MANY && (type->kind == AC_KIND_FLOAT || 2 * most_in_runs > most);
}

typedef struct {
  const ac_scale *scale;
  const ac_tuning *tuning;
  ac_encode_scratch *s;
  const ac_geometry *geometry;
  const uint8_t *src; /* all values of the block */
  uint32_t n;
  uint8_t *dst, *end; /* one byte less than raw */
  ac_mask mask;       /* all that is left out: copies, too */
  /* what is in s->bitmap, by a rule; and a rule that masks nothing.  Their n are 0 if there are none. */
  ac_mask found, nothing;
  ac_mask_rule found_by, nothing_by;
  ac_copies copies;   /* if their section is not NULL */
  /* what is left of them */
  const uint8_t *values;
  uint32_t left;
  uint8_t *body, *list; /* where mask, order and list end; where the list begins */
  uint32_t n_fine; /* values of the block on finer lattices, listed in s->field */
  ac_writer out;
} encoding;

/* Nothing is masked. */
static void keep_all(encoding *e) {
  e->mask.masked = 0;
  e->values = e->src;
  e->left = e->n;
  e->dst[0] = 0;
  e->body = e->dst + 1;
  e->out = (ac_writer){e->body, e->end, 0};
}

static int same_rule(const ac_mask_rule *a, const ac_mask_rule *b) {
  return a->special == b->special && a->n_fixed == b->n_fixed && !memcmp(a->fixed, b->fixed, a->n_fixed * sizeof *a->fixed);
}

/* What a rule masks; its bits, if any, are in s->bitmap until another rule is asked for. */
static ac_mask mask_of(encoding *e, const ac_mask_rule *rule) {
  if (e->nothing.n && same_rule(&e->nothing_by, rule)) return e->nothing;
  if (e->found.n && same_rule(&e->found_by, rule)) return e->found;
  e->found.bits = e->s->bitmap;
  ac_mask_find(rule, e->src, e->n, &e->found);
  e->found_by = *rule;
  if (!e->found.masked) {
    e->nothing = e->found;
    e->nothing_by = *rule;
  }
  return e->found;
}

/* Copies are left out, too. */
static ac_mask with_copies(const encoding *e, const ac_mask *mask) {
  ac_mask joined = *mask;
  if (e->copies.section) ac_copies_join(&e->copies, mask, ac_copies_joined(e->s, e->n), &joined);
  return joined;
}

static void write_copies(const encoding *e, ac_writer *out) {
  uint8_t *const to = e->copies.section ? ac_give(out, e->copies.size) : NULL;
  if (to) memcpy(to, e->copies.section, e->copies.size);
}

/* Mask by a rule.  Without anything to mask all values are kept; 0 if there is no room. */
static int mask_by(encoding *e, const ac_mask_rule *rule) {
  const unsigned size = e->scale->type->size;
  keep_all(e);
  const ac_mask mask = mask_of(e, rule);
  e->mask = with_copies(e, &mask);
  if (!e->mask.masked) return 1;
  e->dst[0] = (mask.masked ? HAS_MASK : 0) | (e->copies.section ? HAS_COPIES : 0);
  if (mask.masked) ac_mask_write(&e->out, &mask, size, e->src, &e->geometry->strides, (uint8_t *)e->s->events);
  write_copies(e, &e->out);
  if (e->out.failed) return 0;
  e->body = e->out.p;
  e->left = ac_mask_compact(&e->mask, size, e->src, e->s->values);
  e->values = e->s->values;
  return 1;
}

/* The rule for what no mode but exact can hold. */
static ac_mask_rule special_values(const ac_scale *scale) {
  const ac_type *type = scale->type;
  ac_mask_rule rule = {type->size, 0, 0, 0, {0, 0}};
  if (type->kind == AC_KIND_FLOAT) {
    rule.special = 1;
    rule.exponent = ((uint64_t)type->most + 1) << type->significand;
  }
  rule.n_fixed = scale->n_fill;
  for (unsigned i = 0; i < scale->n_fill; i++) rule.fixed[i] = scale->fill[i];
  return rule;
}

/* What is left is nothing, or one value; else 0. */
static size_t write_trivial(encoding *e) {
  const unsigned size = e->scale->type->size;
  if (e->n_fine || (e->left && !all_equal(e->values, e->left, size))) return 0;
  if (e->left) {
    e->dst[0] |= AC_MODE_CONSTANT;
    uint8_t *to = ac_give(&e->out, size);
    if (to) memcpy(to, e->values, size);
  }
  return e->out.failed ? 0 : (size_t)(e->out.p - e->dst);
}

enum { LEAST_MASK = 16 }; /* bytes: no mask takes less */

/* Bytes that a list of the special ones among the refused values takes, about: of runs. */
static size_t list_bytes(const encoding *e, const ac_mask_rule *rule, uint32_t n_refused) {
  const uint32_t *index = e->s->index;
  size_t runs = 0;
  uint32_t next = 0;
  for (uint32_t i = 0; i < n_refused; i++) {
    uint64_t bits = 0;
    if (index[i] & AC_EDGE) continue;
    memcpy(&bits, e->values + (size_t)index[i] * rule->size, rule->size);
    if ((bits & rule->exponent) != rule->exponent) continue;
    runs += !runs || index[i] != next;
    next = index[i] + 1;
  }
  return 3 * runs;
}

/* Values of finer lattices, which predicted blocks may have put out, come back unchanged: they are listed.  0 if one of them
 * is none that the mode uniform can hold. */
static int list_fine(encoding *e) {
  const ac_scale *const scale = e->scale;
  const int dtype = scale->type->dtype;
  const ac_mask_rule rule = special_values(scale);
  uint32_t *const index = (uint32_t *)e->s->field;
  uint8_t *const code = (uint8_t *)(index + e->n);
  const uint32_t found = ac_fine_find(scale, e->src, e->n, index);
  e->n_fine = 0;
  for (uint32_t i = 0; i < found; i++) {
    const uint8_t *const bits = e->src + (size_t)index[i] * rule.size;
    int masked = 0;
    for (unsigned j = 0; j < rule.n_fixed; j++) masked |= !memcmp(bits, &rule.fixed[j], rule.size);
    if (masked) continue;
    const double value = ac_value_at(dtype, e->src, index[i]), q = ac_rint(value * scale->lattice.inv);
    const double near = ac_reconstruct(dtype, (int32_t)q, scale->lattice.delta);
    if (!ac_within(value, near, scale->lattice.tol)) return 0;
    uint8_t on;
    ac_folds_find(scale, bits, 1, &on);
    index[e->n_fine] = index[i];
    if (!ac_fine_code(scale, value, on, near, &code[e->n_fine++])) return 0;
  }
  return 1;
}

static uint32_t quantize(encoding *e) {
  const uint32_t n_refused = ac_active_kernels()->quantize[out_of(e->scale->type)](
      e->values, e->left, &e->scale->lattice, ac_group_size(e->tuning), e->s->q, e->s->stats, e->s->index);
  ac_lap(e->s->watch, AC_STAGE_QUANTIZE);
  return n_refused;
}

static size_t write_uniform(encoding *e, uint32_t n_refused) {
  e->dst[0] |= AC_MODE_UNIFORM | (e->n_fine ? HAS_FINE : 0);
  e->list = e->out.p;
  if (e->n_fine) ac_fine_write(&e->out, (uint32_t *)e->s->field, (uint8_t *)((uint32_t *)e->s->field + e->n), e->n_fine);
  if (e->out.failed) return 0;
  e->body = e->out.p;
  if (!ac_section_write(&e->out, e->left, e->tuning, e->s, e->values, e->scale->type->size, n_refused, 1)) return 0;
  return (size_t)(e->out.p - e->dst);
}

enum { COMPARES = 7, TRIAL_LEVEL = 5 }; /* from this level on, orders are tried */

/* From the start, without a mask, and with an order if there is a choice; `quantized` if its integers are in s->q. */
static size_t write_in_order(encoding *e, const ac_order_choice *choice, int quantized) {
  keep_all(e);
  uint32_t n_refused = quantized ? 0 : quantize(e); /* of the order there will be other indices */
  if (choice) {
    ac_order order;
    ac_order_make(choice, e->geometry->first, e->n, ac_group_size(e->tuning), e->s, &order);
    e->dst[0] |= HAS_ORDER;
    ac_order_write(&e->out, &order, e->s->sequence);
    if (e->out.failed) return 0;
    e->body = e->out.p;
    ac_order_apply(&order, e->scale->type->size, e->src, e->s->values);
    e->values = e->s->values;
    n_refused = quantize(e);
  }
  return write_uniform(e, n_refused);
}

static size_t encode_uniform(encoding *e) {
  const ac_mask_rule rule = special_values(e->scale);
  if (!list_fine(e)) return 0;
  if (!e->scale->n_fill) keep_all(e);
  else if (!mask_by(e, &rule)) return 0;
  size_t size = write_trivial(e);
  if (size) return size;
  uint32_t n_refused = quantize(e);
  /* Special values were refused; so were those for which the lattice is too coarse, which are listed. */
  const size_t listed = n_refused && !e->mask.masked ? list_bytes(e, &rule, n_refused) : 0;
  if (listed > LEAST_MASK) {
    if (!mask_by(e, &rule) || (size_t)(e->out.p - e->dst) > listed) {
      keep_all(e);
    } else {
      size = write_trivial(e);
      if (size) return size;
      n_refused = quantize(e);
    }
  }
  if (n_refused > e->left / 2) return 0; /* this lattice is of no use */
  ac_order_choice choices[AC_ORDERS];
  unsigned n = 0;
  if (e->geometry->rows.n && !e->mask.masked && e->tuning->coder != AC_CODER_VARINT)
    n = ac_order_choose(&e->geometry->rows, e->geometry->first, e->n, e->tuning, e->s, choices);
  if (!n) return write_uniform(e, n_refused);
  if (ac_level(e->tuning) < COMPARES) {
    size = write_in_order(e, &choices[0], 1);
    return size ? size : write_in_order(e, NULL, 0);
  }
  /* tried at a lower level, which tells them apart as well */
  const ac_tuning *const tuning = e->tuning;
  ac_tuning trial = *tuning;
  trial.level = TRIAL_LEVEL;
  e->tuning = &trial;
  const ac_order_choice *best = NULL;
  size_t least = write_in_order(e, NULL, 0);
  for (unsigned i = 0; i < n; i++) {
    size = write_in_order(e, &choices[i], 0);
    if (!size || (least && size >= least)) continue;
    least = size;
    best = &choices[i];
  }
  e->tuning = tuning;
  return write_in_order(e, best, 0);
}

/* Wide integers, with the mask that costs least: none, special values, and with them the commonest one. */
static size_t encode_integers(encoding *e, int mode) {
  const ac_scale *scale = e->scale;
  const unsigned size = scale->type->size;
  e->n_fine = 0; /* which are as other values here */
  const ac_mask_rule none = {size, 0, 0, 0, {0, 0}}, special = special_values(scale);
  ac_mask_rule rules[3];
  unsigned n_rules = 0;
  /* what must be kept, and what the mode cannot hold, must be masked or stored exactly */
  if (mode == AC_MODE_EXACT || (scale->type->kind != AC_KIND_FLOAT && !scale->n_fill)) rules[n_rules++] = none;
  if (special.special || special.n_fixed) rules[n_rules++] = special;
  uint64_t common;
  if (special.n_fixed < 2 && common_value(e->src, e->n, scale->type, &common)) {
    rules[n_rules] = special;
    rules[n_rules].fixed[rules[n_rules].n_fixed++] = common;
    n_rules++;
  }
  double least = 1e300;
  unsigned best = 0, loaded = 0;
  int unmasked = 0;
  ac_integers_plan plan = {0};
  for (unsigned i = 0; i < n_rules; i++) {
    if (!mask_by(e, &rules[i])) {
      loaded = n_rules; /* what was better must be masked again */
      continue;
    }
    if (!e->mask.masked && unmasked++) continue; /* as another rule */
    const size_t trivial = write_trivial(e);
    if (trivial) return trivial;
    const ac_integers_plan p = ac_integers_load(mode, scale, &e->geometry->strides, e->values, e->left, e->mask.masked != 0, e->s);
    loaded = i;
    const double bits = p.bits + 8.0 * (double)(e->out.p - e->dst);
    if (bits < least) {
      least = bits;
      best = i;
      plan = p;
    }
  }
  if (least == 1e300) return 0; /* no mask has room */
  if (best != loaded) { /* again, for what was better */
    mask_by(e, &rules[best]);
    plan = ac_integers_load(mode, scale, &e->geometry->strides, e->values, e->left, e->mask.masked != 0, e->s);
  }
  ac_lap(e->s->watch, AC_STAGE_QUANTIZE);
  if (plan.n_refused > e->left / 2) return 0;
  e->dst[0] |= (uint8_t)mode;
  if (!ac_integers_write(&e->out, &plan, scale, &e->geometry->strides, e->values, e->left, e->tuning, e->s)) return 0;
  return e->out.failed ? 0 : (size_t)(e->out.p - e->dst);
}

/* Bits of the values that are zero in all of a sample, counted from the lowest; all if it has nothing but zeros. */
static unsigned idle_bits(const uint8_t *values, uint32_t n, unsigned size) {
  uint64_t all = 0;
  for (uint32_t i = 0, step = n > 64 ? n / 64 : 1; i < n; i += step) all |= ac_load_bits(values + (size_t)i * size, size);
  return all ? (unsigned)__builtin_ctzll(all) : 8 * size;
}

/* Bits that a value takes which is stored exactly, about; some pieces stand for all. */
static double exact_bits(encoding *e) {
  enum { PIECES = 16, PIECE = 512 };
  const unsigned size = e->scale->type->size;
  const uint8_t *values = e->values;
  uint32_t n = e->left;
  if (n > 2 * PIECES * PIECE) {
    for (uint32_t i = 0; i < PIECES; i++)
      memcpy(e->s->low + i * PIECE * size, values + (size_t)(e->left / PIECES) * i * size, PIECE * size);
    values = e->s->low;
    n = PIECES * PIECE;
  }
  const ac_integers_plan plan = ac_integers_load(AC_MODE_EXACT, e->scale, &e->geometry->strides, values, n, 1, e->s);
  /* the estimate is that of an even distribution; a normal one takes so much more a value */
  const double normal = 0.37;
  return plan.bits / n + normal;
}

/* 16-bit floats, and wider ones that once were such, have so few values that storing them exactly can be smaller
 * than a tolerance near their resolution.  Is it, by the estimate, than what was written? */
enum { WORTH_A_LOOK = 8 }; /* bits a value */
static int exact_is_smaller(encoding *e, size_t written) {
  const unsigned size = e->scale->type->size;
  if (!e->left || 8 * written < (size_t)WORTH_A_LOOK * e->left) return 0;
  if (size != 2 && idle_bits(e->values, e->left, size) < 3 * size) return 0;
  return exact_bits(e) * e->left < 8.0 * (double)written;
}

/* Values of an affine lattice, with the mask of what was written, if that makes it smaller. */
static size_t affine_if_smaller(encoding *e, size_t written) {
  const ac_mask_rule rule = special_values(e->scale);
  if (!ac_affine_permitted(e->scale)) return written;
  if (!written && !mask_by(e, &rule)) return 0; /* of which no mask is left */
  const int mode = e->dst[0] & MODE;
  if (written && mode != AC_MODE_UNIFORM && mode != AC_MODE_EXACT) return written;
  /* s->wide has room for raw values, and nobody needs it any more */
  uint8_t *const body = e->dst[0] & HAS_FINE ? e->list : e->body; /* fine values are refused there, not listed */
  const size_t head = (size_t)(body - e->dst), most = written ? written - 1 : (size_t)(e->end - e->dst);
  if (!e->left || most <= head) return written;
  const size_t size = ac_affine_encode(e->scale, e->values, e->left, e->tuning, e->s, (uint8_t *)e->s->wide, most - head);
  if (!size) return written;
  memcpy(body, e->s->wide, size);
  e->dst[0] = (uint8_t)((e->dst[0] & (HAS_MASK | HAS_ORDER | HAS_COPIES)) | AC_MODE_AFFINE);
  return head + size;
}

/* A block's box in values: the parts of complex elements are one more axis. */
static ac_box value_box(const ac_geometry *geometry, const ac_type *type) {
  ac_box box = geometry->box;
  if (type->values == 1) return box;
  if (box.ndim == AC_BOX_NDIM) {
    box.extent[1] *= box.extent[0];
    box.ndim--;
    memmove(box.extent, box.extent + 1, box.ndim * sizeof *box.extent);
  }
  box.extent[box.ndim++] = type->values;
  return box;
}

enum { SPLIT_HEAD = 48 /* bytes of it, at most */ };
/* Values predicted on their lattice, or by a split, with a mask of e->s->bitmap, in at most `most` bytes, or 0: what was written before
 * stays then. */
static size_t predicted_by(encoding *e, const ac_mask_rule *rule, const ac_mask *mask, int is_split, size_t most) {
  const ac_box box = value_box(e->geometry, e->scale->type);
  const ac_mask left_out = with_copies(e, mask);
  if (left_out.masked == e->n || most < 2) return 0;
  ac_split_field split = {.left = {e->s->values, (size_t)e->n * e->scale->type->size, 0}}; /* nobody has compacted values now */
  uint8_t *bytes;
  uint32_t n_fine;
  if (is_split && !ac_field_choose_split(e->scale, &box, e->src, e->n, &left_out, e->tuning, e->s, &split)) return 0;
  const size_t size = ac_field_encode(e->scale, &box, e->src, e->n, &left_out, is_split ? &split : NULL, e->tuning, e->s, &bytes, most - 1, &n_fine);
  if (!size || size >= most) return 0;
  uint8_t *const before = (uint8_t *)e->s->wide; /* nobody needs it any more */
  ac_writer out = {before, before + (most - 1 - size), 0};
  if (mask->masked) ac_mask_write(&out, mask, rule->size, e->src, &e->geometry->strides, (uint8_t *)e->s->events);
  write_copies(e, &out);
  const size_t head = (size_t)(out.p - before), of_split = is_split ? split.left.size + split.left.small + SPLIT_HEAD : 0;
  if (out.failed || 1 + head + of_split + size > most) return 0;
  e->dst[0] = (uint8_t)((is_split ? AC_MODE_SPLIT : AC_MODE_PREDICTED) | (mask->masked ? HAS_MASK : 0) | (n_fine ? HAS_FINE : 0) |
                        (e->copies.section ? HAS_COPIES : 0));
  memcpy(e->dst + 1, before, head);
  ac_writer rest = {e->dst + 1 + head, e->end, 0};
  if (is_split) ac_split_write_all(&rest, &split.split, &split.left);
  memcpy(rest.p, bytes, size);
  return (size_t)(rest.p - e->dst) + size;
}

enum { TRIES_ALL = 7 /* from this level on: whatever a glance says */ };

/* Special values are masked, however few: else they would spoil the predictions beside them.  So is the commonest value if
 * that is smaller, which it is if there is much of it. */
static size_t encode_by_mask(encoding *e) {
  enum { MUCH = 5 /* one of so many */, LITTLE = 32 };
  const int is_split = e->scale->type->kind == AC_KIND_FLOAT && mode_of(e->scale) == AC_MODE_EXACT;
  const size_t most = (size_t)(e->end - e->dst);
  const int both = ac_level(e->tuning) >= TRIES_ALL;
  ac_mask_rule rule = special_values(e->scale);
  const ac_mask_rule special = rule;
  ac_mask mask = mask_of(e, &special);
  uint32_t common = 0;
  const uint32_t n_special = mask.masked;
  if (rule.n_fixed < 2 && common_value(e->src, e->n, e->scale->type, &rule.fixed[rule.n_fixed])) {
    rule.n_fixed++;
    mask = mask_of(e, &rule);
    common = mask.masked - n_special;
    if (common > e->n / MUCH && !both) {
      const size_t size = predicted_by(e, &rule, &mask, is_split, most);
      if (size) return size;
    }
    mask = mask_of(e, &special);
  }
  const size_t size = predicted_by(e, &special, &mask, is_split, most);
  if (!common || (!both && (common > e->n / MUCH || common < e->n / LITTLE))) return size;
  mask = mask_of(e, &rule);
  const size_t other = predicted_by(e, &rule, &mask, is_split, size ? size - 1 : most);
  return other ? other : size;
}

/* Values that lie on a lattice of their own, coarser than that of the tolerance, are smaller on it, and lose nothing. */
static size_t encode_predicted(encoding *e) {
  const ac_type *const type = e->scale->type;
  if (!ac_predicts(e->tuning) || (type->kind == AC_KIND_FLOAT ? mode_of(e->scale) == AC_MODE_LATTICE : type->lossless)) return 0;
  const size_t size = encode_by_mask(e);
  if (type->kind != AC_KIND_FLOAT || mode_of(e->scale) != AC_MODE_UNIFORM || !ac_affine_found(e->scale, e->src, e->n, e->tuning)) return size;
  const ac_mask_rule special = special_values(e->scale);
  const ac_mask mask = mask_of(e, &special);
  const size_t other = predicted_by(e, &special, &mask, 1, size ? size - 1 : (size_t)(e->end - e->dst));
  return other ? other : size;
}

/* Does a glance say that no other mode is as small as so many bytes of predicted values? */
static int others_lose(encoding *e, size_t predicted) {
  enum { LEAST = 1 << 14, PIECES = 16, PIECE = 256, SAMPLE = PIECES * PIECE, TABLES = 160 /* bytes of them, about */ };
  const unsigned size = e->scale->type->size;
  const ac_mask_rule rule = special_values(e->scale);
  if (ac_level(e->tuning) >= TRIES_ALL || e->n < LEAST || e->scale->type->kind != AC_KIND_FLOAT) return 0;
  const ac_mask mask = mask_of(e, &rule);
  e->mask = with_copies(e, &mask);
  e->values = e->src;
  e->left = e->n;
  if (e->mask.masked) {
    e->left = ac_mask_compact(&e->mask, size, e->src, e->s->values);
    e->values = e->s->values;
  }
  if (e->left < 2 * SAMPLE) return 0;
  if (mode_of(e->scale) == AC_MODE_EXACT) {
    const double clearly = 0.9; /* where the estimate leaves no doubt */
    return 8.0 * (double)predicted < clearly * exact_bits(e) * e->left && !ac_affine_found(e->scale, e->values, e->left, e->tuning);
  }
  if (8 * predicted >= (size_t)WORTH_A_LOOK * e->left) return 0;
  if (ac_affine_found(e->scale, e->values, e->left, e->tuning)) return 0;
  const uint8_t *const all = e->values;
  const uint32_t left = e->left;
  for (uint32_t i = 0; i < PIECES; i++)
    memcpy(e->s->low + i * PIECE * size, all + (size_t)(left / PIECES) * i * size, PIECE * size);
  e->values = e->s->low;
  e->left = SAMPLE;
  const uint32_t n_refused = quantize(e);
  ac_writer out = {(uint8_t *)e->s->wide, (uint8_t *)e->s->wide + SAMPLE * size, 0};
  const int fits = ac_section_write(&out, SAMPLE, e->tuning, e->s, e->values, size, n_refused, 0);
  const size_t bytes = fits ? (size_t)(out.p - (uint8_t *)e->s->wide) : SAMPLE * size;
  return bytes > TABLES && (uint64_t)(bytes - TABLES) * left / SAMPLE * 3 / 4 > predicted;
}

/* Where predicted values are kept while other modes are tried: these need no more of this room than 5 bytes a value. */
static uint8_t *place_of_kept(const encoding *e, size_t *room) {
  *room = 16 * (size_t)e->n;
  return (uint8_t *)e->s->field + 6 * (size_t)e->n;
}

/* By the mode that stores what the tolerance permits, in varints, as readers of few lines expect it; or exactly. */
static size_t encode_in_varints(encoding *e) {
  const int mode = mode_of(e->scale);
  const size_t written = mode == AC_MODE_UNIFORM ? encode_uniform(e) : encode_integers(e, mode);
  return written || mode == AC_MODE_EXACT ? written : encode_integers(e, AC_MODE_EXACT);
}

/* By the mode that is smallest, or 0 if none is smaller than raw. */
static size_t encode_by_any_mode(encoding *e) {
  if (e->tuning->coder == AC_CODER_VARINT) return encode_in_varints(e);
  size_t room, predicted = encode_predicted(e);
  if (predicted && others_lose(e, predicted)) return predicted;
  uint8_t *const kept = place_of_kept(e, &room);
  if (predicted > room) predicted = 0; /* of very few values */
  memcpy(kept, e->dst, predicted);
  const int mode = mode_of(e->scale);
  size_t written = mode == AC_MODE_UNIFORM ? encode_uniform(e) : encode_integers(e, mode);
  if (mode == AC_MODE_UNIFORM && written && exact_is_smaller(e, written)) {
    const size_t exact = encode_integers(e, AC_MODE_EXACT);
    written = exact && exact < written ? exact : encode_uniform(e);
  }
  if (!written && mode != AC_MODE_EXACT) written = encode_integers(e, AC_MODE_EXACT);
  written = affine_if_smaller(e, written);
  if (predicted && (!written || predicted < written)) {
    memcpy(e->dst, kept, predicted);
    return predicted;
  }
  return written;
}

/* Are there values that stood in the block before, and is it likely that leaving them out pays?  It costs as much time again to encode, and
 * some to decode: so much must be likely at a glance, or the level high.  Special values and the commonest one, which masks have, are none of
 * them. */
static int find_copies(encoding *e, size_t written) {
  const double worth = 0.04; /* of the size */
  const unsigned size = e->scale->type->size;
  const double bits = 8.0 * (double)(written ? written : e->n * size) / e->n;
  ac_mask_rule rule = special_values(e->scale);
  uint64_t common;
  if (rule.n_fixed < 2 && common_value(e->src, e->n, e->scale->type, &common)) rule.fixed[rule.n_fixed++] = common;
  const ac_mask masked = mask_of(e, &rule);
  return (ac_level(e->tuning) >= TRIES_ALL || ac_copies_estimate(e->src, e->n, size, &masked, bits, e->s) > worth) &&
         ac_copies_find(e->src, e->n, size, &masked, bits, &e->geometry->strides, e->tuning, e->s, &e->copies);
}

enum { COPIES = 5 /* from this level on, and of values without loss */ };

size_t ac_block_encode(const ac_scale *scale, const ac_geometry *geometry, const void *src, const ac_tuning *tuning,
                       ac_encode_scratch *scratch, uint8_t *dst) {
  const size_t size = scale->type->size;
  const uint32_t n = geometry->n;
  if (all_equal(src, n, size)) {
    dst[0] = AC_MODE_CONSTANT;
    memcpy(dst + 1, src, size);
    return 1 + size;
  }
  encoding e = {.scale = scale, .tuning = tuning, .s = scratch, .geometry = geometry, .src = src, .n = n, .dst = dst, .end = dst + n * size};
  size_t written = encode_by_any_mode(&e);
  if (tuning->coder != AC_CODER_VARINT && ac_level(tuning) >= COPIES && scale->type->kind == AC_KIND_FLOAT && mode_of(scale) == AC_MODE_EXACT && find_copies(&e, written)) {
    const size_t others = encode_by_any_mode(&e);
    if (others && (!written || others < written)) return others;
    e.copies.section = NULL; /* again, without them */
    written = encode_by_any_mode(&e);
  }
  if (written) return written;
  dst[0] = AC_MODE_RAW;
  memcpy(dst + 1, src, n * size);
  return 1 + n * size;
}

/* ---- decode ---- */
/* What stands in front of a block's values: nothing is masked, copied, in another order or listed, if the numbers of these are 0. */
typedef struct {
  int mode;
  ac_mask mask, all; /* all that is left out: copies, too */
  ac_copies copies;
  ac_order order;
  ac_fine fine;
} block_head;

/* The reader stands at what the mode stores, then. */
static int read_head(ac_reader *in, const ac_scale *scale, const ac_geometry *geometry, ac_decode_scratch *s, block_head *h) {
  const uint32_t n = geometry->n;
  const uint8_t head = ac_read8(in);
  if (in->failed || head & ~(MODE | HAS_MASK | HAS_ORDER | HAS_FINE | HAS_COPIES)) return AC_E_FORMAT;
  *h = (block_head){.mode = head & MODE, .mask = {.n = n, .bits = s->bitmap}, .copies = {.at = {.n = n, .bits = s->copies}}};
  if (head & HAS_MASK) ac_mask_read(in, &h->mask, scale->type->size, &geometry->strides, s->which);
  h->all = h->mask;
  if (head & HAS_COPIES) {
    if (h->mode == AC_MODE_RAW) return AC_E_FORMAT;
    if (!in->failed) ac_copies_read(in, &h->copies, &geometry->strides, s);
    if (in->failed) return in->failed;
    ac_copies_join(&h->copies, &h->mask, s->joined, &h->all);
    uint32_t left_out = 0;
    for (size_t i = 0; i < ac_bitmap_words(n); i++) left_out += (uint32_t)__builtin_popcountll(s->joined[i]);
    if (left_out != h->all.masked) return AC_E_FORMAT; /* something is masked, and a copy */
  }
  if (head & HAS_ORDER) {
    if (head & (HAS_MASK | HAS_COPIES) || h->mode < AC_MODE_UNIFORM || h->mode >= AC_MODE_PREDICTED) return AC_E_FORMAT;
    ac_order_read(in, n, &h->order);
  }
  if (head & HAS_FINE) {
    if (h->mode != AC_MODE_UNIFORM && h->mode != AC_MODE_PREDICTED) return AC_E_FORMAT;
    if (scale->type->kind != AC_KIND_FLOAT || ac_fold_limit(scale->type->dtype, 1) == 0) return AC_E_FORMAT;
    ac_fine_read(in, n, &h->fine);
  }
  if (in->failed) return in->failed;
  if (h->all.masked == n && h->mode != AC_MODE_RAW) return AC_E_FORMAT;
  const int is_float = scale->type->kind == AC_KIND_FLOAT;
  switch (h->mode) {
    case AC_MODE_RAW:
    case AC_MODE_CONSTANT:
    case AC_MODE_EXACT: return AC_OK;
    case AC_MODE_UNIFORM: return is_float && scale->lattice.delta != 0 && !scale->relative ? AC_OK : AC_E_FORMAT;
    case AC_MODE_LATTICE: return (is_float ? scale->relative != NULL : scale->whole != 0) ? AC_OK : AC_E_FORMAT;
    case AC_MODE_AFFINE: return ac_affine_permitted(scale) ? AC_OK : AC_E_FORMAT;
    case AC_MODE_PREDICTED: return !is_float || (scale->lattice.delta != 0 && !scale->relative) ? AC_OK : AC_E_FORMAT;
    default: return is_float ? AC_OK : AC_E_FORMAT; /* split */
  }
}

/* `moved`: values do not stand where they do in the array. */
static int read_values(ac_reader *in, const ac_scale *scale, const ac_strides *strides, int mode, uint32_t n, int moved,
                       ac_decode_scratch *s, uint8_t *dst) {
  const unsigned size = scale->type->size;
  if (mode == AC_MODE_RAW || mode == AC_MODE_CONSTANT) {
    const size_t bytes = mode == AC_MODE_RAW ? n * (size_t)size : size;
    if (ac_remaining(in) != bytes) return AC_E_FORMAT;
    if (mode == AC_MODE_RAW) memcpy(dst, in->p, bytes);
    else
      for (uint32_t i = 0; i < n; i++) memcpy(dst + (size_t)i * size, in->p, size);
    return AC_OK;
  }
  if (mode == AC_MODE_AFFINE) return ac_affine_read(in, scale, n, s, dst);
  if (mode != AC_MODE_UNIFORM) return ac_integers_read(in, mode, scale, strides, n, moved, s, dst);
  ac_section section;
  const double delta = scale->lattice.delta;
  int error = ac_section_read(in, n, &section);
  if (!error) error = ac_section_decode(&section, out_of(scale->type), delta, s->tables, s->watch, dst);
  if (!error) error = ac_section_finish(&section, scale->type->dtype, size, scale->type->dtype != AC_FLOAT64, delta, dst);
  return error;
}

int ac_block_decode(const ac_scale *scale, const ac_geometry *geometry, const uint8_t *src, size_t size, ac_decode_scratch *s,
                    void *dst) {
  const uint32_t n = geometry->n;
  ac_reader in = {src, src + size, 0};
  const unsigned value = scale->type->size;
  block_head h;
  int error = read_head(&in, scale, geometry, s, &h);
  if (error) return error == AC_E_TRUNCATED ? AC_E_FORMAT : error;
  const int mode = h.mode;
  const uint8_t *const which = h.mask.n_patterns > 1 ? s->which : NULL;
  if (mode >= AC_MODE_PREDICTED) {
    const ac_box box = value_box(geometry, scale->type);
    ac_split split;
    ac_split_reader reader;
    if (mode == AC_MODE_SPLIT && !ac_split_open(&in, scale->type, &split, &reader)) error = AC_E_FORMAT;
    if (!error) error = ac_field_read(&in, scale, &box, n, &h.all, mode == AC_MODE_SPLIT ? &reader : NULL, s, dst);
  } else if (h.order.kind) {
    /* the mode uniform has no wide integers: there is room for its values */
    uint8_t *const values = mode == AC_MODE_UNIFORM ? (uint8_t *)s->wide : dst;
    error = read_values(&in, scale, &geometry->strides, mode, n, 1, s, values);
    if (!error && values == dst) memcpy(s->wide, dst, (size_t)n * value);
    if (!error) ac_order_undo(&h.order, value, s->wide, dst);
    ac_lap(s->watch, AC_STAGE_DECODE);
  } else {
    /* the other values at the end, from where they go to their places */
    uint8_t *const values = (uint8_t *)dst + (size_t)h.all.masked * value;
    error = read_values(&in, scale, &geometry->strides, mode, n - h.all.masked, h.all.masked != 0, s, values);
    if (!error && h.copies.at.masked) ac_mask_expand(&h.all, value, NULL, dst);
    else if (!error && h.mask.masked) ac_mask_expand(&h.mask, value, which, dst);
  }
  if (!error && h.mask.masked && (mode >= AC_MODE_PREDICTED || h.copies.at.masked)) ac_mask_put(&h.mask, value, which, dst);
  if (!error && h.copies.at.masked) ac_copies_put(&h.copies, value, dst);
  if (!error && h.fine.entries) error = ac_fine_put(&h.fine, scale, n, dst);
  /* the block is whole (its checksum matched): what runs short inside it is not truncated */
  return error == AC_E_TRUNCATED ? AC_E_FORMAT : error;
}

int ac_block_inspect(const ac_scale *scale, const ac_geometry *geometry, const uint8_t *src, size_t size, ac_decode_scratch *s,
                     ac_block_info *info) {
  ac_reader in = {src, src + size, 0};
  block_head h;
  int error = read_head(&in, scale, geometry, s, &h);
  if (error) return AC_E_FORMAT;
  const int mode = h.mode;
  info->order = (uint8_t)h.order.kind;
  info->row = h.order.kind ? h.order.row : 0;
  info->mode = (uint8_t)mode;
  info->varints = info->n_classes = info->lanes = info->prob_bits = info->group = 0;
  info->low_bytes = info->difference = info->folded = 0;
  info->window_exceptions = info->raw_exceptions = info->edges = 0;
  info->masked = h.mask.masked;
  info->copies = h.copies.at.masked;
  const uint32_t left = geometry->n - h.all.masked;
  if (mode == AC_MODE_RAW) return ac_remaining(&in) == left * (size_t)scale->type->size ? AC_OK : AC_E_FORMAT;
  if (mode == AC_MODE_CONSTANT) return ac_remaining(&in) == scale->type->size ? AC_OK : AC_E_FORMAT;
  if (mode >= AC_MODE_PREDICTED) {
    const ac_box box = value_box(geometry, scale->type);
    ac_split split;
    ac_split_reader reader;
    if (mode == AC_MODE_SPLIT && !ac_split_open(&in, scale->type, &split, &reader)) return AC_E_FORMAT;
    return ac_field_inspect(&in, scale, &box, geometry->n, mode == AC_MODE_SPLIT, info) ? AC_E_FORMAT : AC_OK;
  }
  ac_section section;
  error = mode == AC_MODE_UNIFORM ? ac_section_read(&in, left, &section)
          : mode == AC_MODE_AFFINE ? ac_affine_inspect(&in, scale, left, &section)
                                  : ac_integers_inspect(&in, mode, scale, &geometry->strides, left, h.all.masked || h.order.kind, &section, info);
  if (error) return AC_E_FORMAT;
  info->varints = section.plain;
  info->n_classes = section.windows.n_classes;
  info->group = section.windows.group;
  if (!section.plain && section.words != section.words_end) {
    info->lanes = section.windows.lanes;
    info->prob_bits = section.windows.prob_bits;
  }
  info->window_exceptions = section.n_outside;
  info->raw_exceptions = section.n_refused;
  info->edges = section.n_edges;
  return AC_OK;
}
