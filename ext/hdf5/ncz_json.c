/* ncz_json.c: see ncz_json.h.
 *
 * An object of few members is all that our codecs have, so this reads no more of JSON (RFC 8259) than that: members
 * whose values are nested deeper are passed over, and make the whole a text without items.
 */
#define _GNU_SOURCE /* newlocale, strnlen */
#include "ncz_json.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "../arraycodec.h"
#include "../core/types.h"
#include "h5_items.h"

enum {
  MAX_MEMBERS = 16, /* of an object; LowRankQuant has 10 */
  MAX_WORD = 64,    /* bytes of a key, a name or a number, with the zero behind it */
  MAX_DEPTH = 32,
  MAX_JSON = 1 << 16, /* bytes of a text */
  MAX_OUTPUT = 1024   /* bytes of what is made of items */
};

/* ---- JSON ---- */
typedef enum { JSON_NULL, JSON_NUMBER, JSON_STRING, JSON_PAIR /* of numbers */, JSON_OTHER } json_kind;

typedef struct {
  json_kind kind;
  char words[2][MAX_WORD]; /* a number, a string, or both numbers of a pair */
} json_value;

typedef struct {
  char key[MAX_WORD];
  json_value value;
  int used;
} json_member;

typedef struct {
  json_member members[MAX_MEMBERS];
  unsigned n;
  int is_whole; /* every member is here, and there are no two of a name */
} json_object;

static const char *skip_space(const char *p) {
  while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') p++;
  return p;
}

/* These read what begins at p and return where it ends, or NULL if it is not what it should be. */
/* *fits: it is in `word`; strings with escapes are not. */
static const char *read_string(const char *p, char word[MAX_WORD], int *fits) {
  size_t n = 0;
  *fits = 1;
  word[0] = 0;
  for (p++; *p != '"'; p++) {
    if ((unsigned char)*p < 0x20) return NULL;
    if (*p == '\\') {
      *fits = 0;
      if (!*++p) return NULL;
    }
    if (n + 1 < MAX_WORD) word[n++] = *p;
    else *fits = 0;
  }
  word[n] = 0;
  return p + 1;
}

static const char *skip_digits(const char *p) {
  const char *const first = p;
  while (*p >= '0' && *p <= '9') p++;
  return p == first ? NULL : p;
}

static const char *read_number(const char *p, char word[MAX_WORD], int *fits) {
  const char *const first = p;
  if (*p == '-') p++;
  if (*p == '0' && p[1] >= '0' && p[1] <= '9') return NULL;
  if (!(p = skip_digits(p))) return NULL;
  if (*p == '.' && !(p = skip_digits(p + 1))) return NULL;
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '+' || *p == '-') p++;
    if (!(p = skip_digits(p))) return NULL;
  }
  *fits = (size_t)(p - first) < MAX_WORD;
  word[0] = 0;
  if (*fits) {
    memcpy(word, first, (size_t)(p - first));
    word[p - first] = 0;
  }
  return p;
}

static const char *read_value(const char *p, json_value *value, unsigned depth);

static const char *read_array(const char *p, json_value *value, unsigned depth) {
  unsigned n = 0, numbers = 0;
  value->kind = JSON_OTHER;
  p = skip_space(p + 1);
  if (*p == ']') return p + 1;
  for (;; p++) {
    json_value element;
    if (!(p = read_value(skip_space(p), &element, depth + 1))) return NULL;
    if (n < 2 && element.kind == JSON_NUMBER) {
      memcpy(value->words[n], element.words[0], MAX_WORD);
      numbers++;
    }
    if (n < 3) n++;
    p = skip_space(p);
    if (*p == ']') break;
    if (*p != ',') return NULL;
  }
  if (n == 2 && numbers == 2) value->kind = JSON_PAIR;
  return p + 1;
}

/* Puts the members into `object`, if there is one. */
static const char *read_members(const char *p, json_object *object, unsigned depth) {
  p = skip_space(p + 1);
  if (*p == '}') return p + 1;
  for (;; p++) {
    json_member member;
    int fits;
    p = skip_space(p);
    if (*p != '"' || !(p = read_string(p, member.key, &fits))) return NULL;
    p = skip_space(p);
    if (*p != ':' || !(p = read_value(skip_space(p + 1), &member.value, depth + 1))) return NULL;
    if (object) {
      member.used = 0;
      for (unsigned i = 0; i < object->n; i++)
        if (!strcmp(object->members[i].key, member.key)) fits = 0;
      if (fits && object->n < MAX_MEMBERS) object->members[object->n++] = member;
      else object->is_whole = 0;
    }
    p = skip_space(p);
    if (*p == '}') return p + 1;
    if (*p != ',') return NULL;
  }
}

static const char *read_value(const char *p, json_value *value, unsigned depth) {
  static const char *const names[] = {"null", "true", "false", "NaN", "Infinity", "-Infinity"}; /* as Python has them */
  int fits = 1;
  if (depth > MAX_DEPTH) return NULL;
  memset(value, 0, sizeof *value);
  value->kind = JSON_OTHER;
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    if (strncmp(p, names[i], strlen(names[i]))) continue;
    if (i == 0) value->kind = JSON_NULL;
    return p + strlen(names[i]);
  }
  if (*p == '{') return read_members(p, NULL, depth);
  if (*p == '[') return read_array(p, value, depth);
  const int is_string = *p == '"';
  p = is_string ? read_string(p, value->words[0], &fits) : read_number(p, value->words[0], &fits);
  if (fits) value->kind = is_string ? JSON_STRING : JSON_NUMBER;
  return p;
}

static int read_object(const char *text, json_object *object) {
  memset(object, 0, sizeof *object);
  object->is_whole = 1;
  if (strnlen(text, MAX_JSON) == MAX_JSON) return -1;
  const char *p = skip_space(text);
  if (*p != '{' || !(p = read_members(p, object, 0))) return -1;
  return *skip_space(p) ? -1 : 0;
}

static json_value *find(json_object *object, const char *key) {
  for (unsigned i = 0; i < object->n; i++)
    if (!strcmp(object->members[i].key, key)) {
      object->members[i].used = 1;
      return object->members[i].value.kind == JSON_NULL ? NULL : &object->members[i].value;
    }
  return NULL;
}

/* ---- from JSON to items ---- */
enum { ANSQUANT, VARINTQUANT, STOCHASTIC, LOW_RANK, CODECS };
static const char *const IDS[CODECS] = {"ansquant", "varintquant", "stochasticquant", "lowrankquant"};

/* Names by their codes. */
static const char *const PREDICTOR_NAMES[AC_PREDICTORS] = {
    [AC_PREDICTOR_NONE] = "none", [AC_PREDICTOR_AUTO] = "auto", [AC_PREDICTOR_LORENZO] = "lorenzo",
    [AC_PREDICTOR_INTERPOLATION] = "interpolation", [AC_PREDICTOR_LINEAR] = "linear"};
static const char *const METHOD_NAMES[AC_METHODS] = {[AC_METHOD_QSGD] = "qsgd", [AC_METHOD_DITHER] = "dither"};
static const char *const NORM_NAMES[AC_NORMS] = {[AC_NORM_L2] = "l2", [AC_NORM_MAX] = "max"};
static const char *const PACKING_NAMES[AC_PACKINGS] = {[AC_PACKING_RANS] = "rans", [AC_PACKING_FIXED] = "fixed"};
static const char *const FACTORS_NAMES[AC_FACTORS] = {
    [AC_FACTORS_SVD] = "svd", [AC_FACTORS_LPLR] = "lplr", [AC_FACTORS_LSVD] = "lsvd", [AC_FACTORS_DSVD] = "dsvd"};
enum { TARGETS = 3 };
static const char *const TARGET_NAMES[TARGETS + 1] = {NULL, "rank", "bits_per_value", "rel_error"};

typedef struct {
  json_object *object;
  unsigned values[MAX_VALUES + 16]; /* with room for an item too many, which h5_read_items then refuses */
  size_t n;
  int failed; /* something has no item */
} builder;

static void put(builder *b, unsigned word) {
  if (b->n < sizeof b->values / sizeof *b->values) b->values[b->n++] = word;
  else b->failed = 1;
}

static void put_bits(builder *b, uint64_t bits) {
  put(b, (unsigned)bits);
  put(b, (unsigned)(bits >> 32));
}

static void put_double(builder *b, const char *word) {
  const double value = strtod(word, NULL);
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (!isfinite(value)) b->failed = 1;
  put_bits(b, bits);
}

static void put_tolerance(builder *b, const char *key, unsigned tag) {
  const json_value *value = find(b->object, key);
  if (!value) return;
  if (value->kind != JSON_NUMBER) b->failed = 1;
  put(b, tag);
  put_double(b, value->words[0]);
}

/* A whole number of up to 64 bits, of which *negative is the sign. */
static int is_whole(const char *word, int *negative, uint64_t *magnitude) {
  *negative = *word == '-';
  if (!*word || strpbrk(word, ".eE")) return 0;
  errno = 0;
  *magnitude = strtoull(word + *negative, NULL, 10);
  return errno == 0;
}

/* A number from 0 to `most`; `missing` where there is none. */
static uint64_t take_number(builder *b, const char *key, uint64_t most, uint64_t missing) {
  const json_value *value = find(b->object, key);
  int negative;
  uint64_t number;
  if (!value) return missing;
  if (value->kind == JSON_NUMBER && is_whole(value->words[0], &negative, &number) && !negative && number <= most) return number;
  b->failed = 1;
  return missing;
}

/* The code of a name. */
static unsigned take_name(builder *b, const char *key, const char *const *names, unsigned n, unsigned missing) {
  const json_value *value = find(b->object, key);
  if (!value) return missing;
  for (unsigned i = 0; value->kind == JSON_STRING && i < n; i++)
    if (names[i] && !strcmp(value->words[0], names[i])) return i;
  b->failed = 1;
  return missing;
}

static void put_fill(builder *b) {
  const json_value *value = find(b->object, "fill_value");
  int negative;
  uint64_t magnitude;
  if (!value) return;
  if (value->kind == JSON_PAIR) {
    put(b, ITEM_FILL_COMPLEX);
    put_double(b, value->words[0]);
    put_double(b, value->words[1]);
  } else if (value->kind != JSON_NUMBER) {
    b->failed = 1;
  } else if (is_whole(value->words[0], &negative, &magnitude)) {
    put(b, ITEM_FILL_INTEGER);
    put(b, (unsigned)negative);
    put_bits(b, magnitude);
  } else {
    put(b, ITEM_FILL_DOUBLE);
    put_double(b, value->words[0]);
  }
}

static void put_quantizer(builder *b, int codec) {
  put_tolerance(b, "tol", ITEM_TOLERANCE);
  put_tolerance(b, "rtol", ITEM_RELATIVE);
  put_fill(b);
  const json_value *dtype = find(b->object, "dtype");
  if (dtype) {
    if (dtype->kind == JSON_STRING && !strcmp(dtype->words[0], "bfloat16")) put(b, ITEM_BFLOAT16);
    else b->failed = 1;
  }
  if (codec == VARINTQUANT) {
    put(b, ITEM_CODER);
    put(b, AC_CODER_VARINT);
    return;
  }
  const unsigned level = (unsigned)take_number(b, "level", AC_MAX_LEVEL, 0);
  const unsigned predictor = take_name(b, "predictor", PREDICTOR_NAMES, AC_PREDICTORS, 0);
  if (level) put(b, ITEM_LEVEL), put(b, level);
  if (predictor) put(b, ITEM_PREDICTOR), put(b, predictor);
}

static void put_stochastic(builder *b) {
  const json_value *const bucket = find(b->object, "bucket");
  int is_all = 0; /* null, where the default is a number */
  for (unsigned i = 0; i < b->object->n; i++) is_all |= !bucket && !strcmp(b->object->members[i].key, "bucket");
  unsigned word = (unsigned)take_number(b, "bits", 255, 0);
  word |= take_name(b, "method", METHOD_NAMES, AC_METHODS, AC_METHOD_DITHER) << 8;
  word |= take_name(b, "norm", NORM_NAMES, AC_NORMS, AC_NORM_L2) << 16;
  word |= take_name(b, "packing", PACKING_NAMES, AC_PACKINGS, AC_PACKING_RANS) << 24;
  if (!find(b->object, "seed")) b->failed = 1; /* drawn for each chunk */
  put(b, ITEM_STOCHASTIC);
  put(b, word);
  put(b, (unsigned)take_number(b, "bucket", UINT32_MAX, is_all ? 0 : 512));
  put_bits(b, take_number(b, "seed", UINT64_MAX, 0));
}

static void put_low_rank(builder *b) {
  put_tolerance(b, "tol", ITEM_TOLERANCE);
  unsigned word = take_name(b, "method", FACTORS_NAMES, AC_FACTORS, AC_FACTORS_SVD), bits[2] = {8, 8};
  const char *target = "0";
  for (unsigned i = 1; i <= TARGETS; i++) {
    const json_value *value = find(b->object, TARGET_NAMES[i]);
    if (!value) continue;
    int negative;
    uint64_t rank;
    if (value->kind != JSON_NUMBER || word >> 8 || (i == 1 && !is_whole(value->words[0], &negative, &rank))) b->failed = 1;
    word |= i << 8;
    target = value->words[0];
  }
  const json_value *const given = find(b->object, "bits");
  if (given && (word & 0xff) == AC_FACTORS_SVD) b->failed = 1;
  for (unsigned i = 0; given && i < 2; i++) {
    int negative;
    uint64_t number;
    if (given->kind == JSON_PAIR && is_whole(given->words[i], &negative, &number) && !negative && number <= 16) bits[i] = (unsigned)number;
    else b->failed = 1;
  }
  put(b, ITEM_LOW_RANK);
  put(b, word | bits[0] << 16 | bits[1] << 24);
  put_double(b, target);
  const unsigned axes = (unsigned)take_number(b, "row_axes", 0xff, 1);
  put(b, axes | (unsigned)take_number(b, "level", AC_MAX_LEVEL, 0) << 8);
  put_bits(b, take_number(b, "seed", UINT64_MAX, 0));
}

static int codec_of(json_object *object) {
  const json_value *id = find(object, "id");
  for (int codec = 0; id && id->kind == JSON_STRING && codec < CODECS; codec++)
    if (!strcmp(id->words[0], IDS[codec])) return codec;
  return -1;
}

/* Into the builder; whether all of it has items. */
static int build(builder *b, int codec) {
  h5_items items;
  h5_problem problem;
  if (codec == STOCHASTIC) put_stochastic(b);
  else if (codec == LOW_RANK) put_low_rank(b);
  else put_quantizer(b, codec);
  for (unsigned i = 0; i < b->object->n; i++)
    if (!b->object->members[i].used) return 0;
  return b->object->is_whole && !b->failed && h5_read_items(b->values, b->n, &items, &problem) == 0;
}

static int copy_text(const char *text, size_t *n, unsigned **values) {
  const size_t length = strlen(text), words = 2 + (length + 3) / 4;
  if (!(*values = calloc(words, sizeof **values))) return -1;
  (*values)[0] = ITEM_TEXT;
  (*values)[1] = (unsigned)length;
  memcpy(*values + 2, text, length);
  *n = words;
  return 0;
}

static int values_of_json(const char *text, size_t *n, unsigned **values) {
  json_object object;
  builder b = {.object = &object};
  if (read_object(text, &object)) return -1;
  const int codec = codec_of(&object);
  if (codec < 0) return -1;
  if (!build(&b, codec)) return copy_text(text, n, values);
  *n = b.n;
  if (!b.n) return 0;
  if (!(*values = malloc(b.n * sizeof **values))) return -1;
  memcpy(*values, b.values, b.n * sizeof **values);
  return 0;
}

/* ---- from items to JSON ---- */
typedef struct {
  char text[MAX_OUTPUT];
  size_t n;
  int failed;
} writer;

__attribute__((format(printf, 2, 3))) static void print(writer *w, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int n = vsnprintf(w->text + w->n, sizeof w->text - w->n, format, arguments);
  va_end(arguments);
  if (n < 0 || (size_t)n >= sizeof w->text - w->n) w->failed = 1;
  else w->n += (size_t)n;
}

/* The shortest text that is this double again, and looks like one. */
static void print_double(writer *w, double value) {
  char text[32];
  if (!isfinite(value)) w->failed = 1;
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  print(w, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

static double double_of_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* One value of an element. */
static void print_element(writer *w, const ac_type *type, const uint8_t *bits) {
  uint64_t word = 0;
  memcpy(&word, bits, type->size);
  switch (type->dtype) {
    case AC_FLOAT32: print_double(w, (double)ac_float_of_bits((uint32_t)word)); return;
    case AC_FLOAT64: print_double(w, double_of_bits(word)); return;
    case AC_FLOAT16: print_double(w, (double)ac_from_float16((uint16_t)word)); return;
    case AC_BFLOAT16: print_double(w, (double)ac_from_bfloat16((uint16_t)word)); return;
  }
  const unsigned unused = 64u - 8u * type->size;
  if (type->kind == AC_KIND_SIGNED) print(w, "%lld", (long long)((int64_t)(word << unused) >> unused));
  else print(w, "%llu", (unsigned long long)word);
}

static void print_fill_bits(writer *w, const h5_items *items) {
  uint8_t bits[MAX_ELEMENT];
  int given;
  h5_problem problem;
  const unsigned code = items->element.word & TYPE_CODE;
  const ac_type *const type = items->type ? ac_type_of((int)code) : NULL;
  if (!type || h5_fill_of_items(items, code, bits, &given, &problem)) {
    w->failed = 1; /* whose bits? */
    return;
  }
  if (!given) return;
  print(w, ", \"fill_value\": ");
  if (type->values == 2) print(w, "[");
  print_element(w, type, bits);
  if (type->values < 2) return;
  print(w, ", ");
  print_element(w, type, bits + type->size);
  print(w, "]");
}

static void print_fill(writer *w, const h5_items *items) {
  const unsigned *const operands = items->fill_operands;
  if (items->fill == ITEM_FILL_BITS) {
    print_fill_bits(w, items);
  } else if (items->fill == ITEM_FILL_INTEGER) {
    print(w, ", \"fill_value\": %s%llu", operands[0] ? "-" : "", (unsigned long long)h5_join(operands + 1));
  } else if (items->fill) {
    const double real = double_of_bits(h5_join(operands));
    const double imaginary = items->fill == ITEM_FILL_COMPLEX ? double_of_bits(h5_join(operands + 2)) : 0;
    if (!isfinite(real) || !isfinite(imaginary)) return; /* kept without mention */
    print(w, items->fill == ITEM_FILL_COMPLEX ? ", \"fill_value\": [" : ", \"fill_value\": ");
    print_double(w, real);
    if (items->fill != ITEM_FILL_COMPLEX) return;
    print(w, ", ");
    print_double(w, imaginary);
    print(w, "]");
  }
}

static void print_member(writer *w, const char *key, double value) {
  print(w, ", \"%s\": ", key);
  print_double(w, value);
}

static void print_quantizer(writer *w, const h5_items *items) {
  if (items->absolute && (items->tol > 0 || !items->relative)) print_member(w, "tol", items->tol);
  if (items->relative) print_member(w, "rtol", items->rtol);
  print_fill(w, items);
  if (items->bfloat16) print(w, ", \"dtype\": \"bfloat16\"");
  if (items->coder == AC_CODER_VARINT) return; /* which has neither */
  if (items->level) print(w, ", \"level\": %u", items->level);
  if (items->predictor) print(w, ", \"predictor\": \"%s\"", PREDICTOR_NAMES[items->predictor]);
}

static void print_stochastic(writer *w, const h5_items *items) {
  const ac_stochastic how = h5_stochastic_of(items->other_operands);
  print(w, ", \"bits\": %u, \"norm\": \"%s\", ", how.bits, NORM_NAMES[how.norm]);
  if (how.bucket) print(w, "\"bucket\": %u", (unsigned)how.bucket);
  else print(w, "\"bucket\": null");
  print(w, ", \"method\": \"%s\", \"packing\": \"%s\", \"seed\": %llu", METHOD_NAMES[how.method], PACKING_NAMES[how.packing],
        (unsigned long long)how.seed);
}

static void print_low_rank(writer *w, const h5_items *items) {
  const unsigned *const operands = items->other_operands;
  const unsigned factors = operands[0] & 0xff, target = operands[0] >> 8 & 0xff, left = operands[0] >> 16 & 0xff, right = operands[0] >> 24;
  const unsigned axes = operands[LOW_RANK_AXES] & 0xff, level = operands[LOW_RANK_AXES] >> 8;
  const double value = double_of_bits(h5_join(operands + 1));
  const uint64_t seed = h5_join(operands + LOW_RANK_AXES + 1);
  if (items->tol > 0) print_member(w, "tol", items->tol);
  if (target == 1) print(w, ", \"rank\": %.0f", value);
  else if (target) print_member(w, TARGET_NAMES[target], value);
  if (factors != AC_FACTORS_SVD) {
    print(w, ", \"method\": \"%s\"", FACTORS_NAMES[factors]);
    if (left != 8 || right != 8) print(w, ", \"bits\": [%u, %u]", left, right);
  }
  if (axes != 1) print(w, ", \"row_axes\": %u", axes);
  if (level) print(w, ", \"level\": %u", level);
  if (seed) print(w, ", \"seed\": %llu", (unsigned long long)seed);
}

/* A text that was kept: it is checked again, as anyone can give such values. */
static char *text_of_values(size_t n, const unsigned *values) {
  json_object object;
  const size_t length = n >= 2 ? values[1] : 0;
  if (n < 2 || length >= MAX_JSON || n != 2 + (length + 3) / 4) return NULL;
  char *const text = calloc(length + 1, 1);
  if (!text) return NULL;
  memcpy(text, values + 2, length);
  if (strlen(text) == length && read_object(text, &object) == 0 && codec_of(&object) >= 0) return text;
  free(text);
  return NULL;
}

static char *json_of_values(size_t n, const unsigned *values) {
  h5_items items;
  h5_problem problem;
  writer w = {.n = 0};
  if (n && values[0] == ITEM_TEXT) return text_of_values(n, values);
  if (h5_read_items(values, n, &items, &problem)) return NULL;
  const int codec = items.other == ITEM_STOCHASTIC       ? STOCHASTIC
                    : items.other == ITEM_LOW_RANK       ? LOW_RANK
                    : items.coder == AC_CODER_VARINT ? VARINTQUANT
                                                     : ANSQUANT;
  print(&w, "{\"id\": \"%s\"", IDS[codec]);
  if (codec == STOCHASTIC) print_stochastic(&w, &items);
  else if (codec == LOW_RANK) print_low_rank(&w, &items);
  else print_quantizer(&w, &items);
  print(&w, "}");
  return w.failed ? NULL : strdup(w.text);
}

/* ---- with points in decimal numbers, whatever the program's locale ---- */
int ncz_values_of_json(const char *text, size_t *n, unsigned **values) {
  const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  *n = 0;
  *values = NULL;
  if (!c) return -1;
  const locale_t old = uselocale(c);
  const int error = values_of_json(text, n, values);
  uselocale(old);
  freelocale(c);
  return error;
}

char *ncz_json_of_values(size_t n, const unsigned *values) {
  const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!c) return NULL;
  const locale_t old = uselocale(c);
  char *const text = json_of_values(n, values);
  uselocale(old);
  freelocale(c);
  return text;
}
