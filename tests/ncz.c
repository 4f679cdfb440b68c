/* ncz.c: what the plugin makes of codecs' JSON and of filters' values, for texts and values that nobody checked; with
 * sanitizers (tests/test_nczarr.py).  netCDF's functions are made up here.
 *
 * Each line of the input is one case, and one line is printed for it: "-" where it is refused.
 *   J text               the values of a JSON text; " = " and the JSON of those
 *   V v ...              the JSON of values
 *   M type endian no_fill first ndims chunk ... : v ...
 *                        working parameters of a variable with these visible ones; `first` is the number of its first filter
 */
#include <locale.h>

#include "../ext/core/types.h"
#include "../ext/hdf5/caller.h"
#define caller_find made_up
static int made_up(void *return_address, const caller_symbol *symbols, size_t n, void *api);
#include "../ext/hdf5/h5_items.c"
#include "../ext/hdf5/ncz_codec.c"
#include "../ext/hdf5/ncz_json.c"
#undef caller_find

/* of codec.c, which is not needed */
size_t ac_element_size(int dtype) { return ac_type_of(dtype) ? (size_t)ac_type_of(dtype)->size * ac_type_of(dtype)->values : 0; }

enum { MAX_NUMBERS = 4096, MAX_LINE = 1 << 17 };

/* ---- netCDF, of one variable ---- */
static struct {
  int type, endian, no_fill, ndims;
  unsigned first;
  size_t chunks[MAX_NUMBERS];
} variable;

static int vartype(int ncid, int varid, int *type) { (void)ncid, (void)varid; *type = variable.type; return 0; }
static int varndims(int ncid, int varid, int *ndims) { (void)ncid, (void)varid; *ndims = variable.ndims; return 0; }
static int endianness(int ncid, int varid, int *endian) { (void)ncid, (void)varid; *endian = variable.endian; return 0; }
static int chunking(int ncid, int varid, int *storage, size_t *chunks) {
  (void)ncid, (void)varid;
  *storage = 0;
  memcpy(chunks, variable.chunks, (size_t)variable.ndims * sizeof *chunks);
  return 0;
}
static int fill(int ncid, int varid, int *no_fill, void *value) {
  static const unsigned char sizes[] = {0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8};
  (void)ncid, (void)varid;
  *no_fill = variable.no_fill;
  memset(value, 0x41, sizes[variable.type]);
  return 0;
}
static int filter_ids(int ncid, int varid, size_t *n, unsigned *ids) {
  (void)ncid, (void)varid;
  *n = 1;
  if (ids) *ids = variable.first;
  return 0;
}

static int made_up(void *return_address, const caller_symbol *symbols, size_t n, void *api) {
  (void)return_address;
  if (n != 6 || strcmp(symbols[0].name, "nc_inq_vartype")) return -1;
  *(ncz_api *)api = (ncz_api){vartype, varndims, chunking, endianness, fill, filter_ids};
  return 0;
}

/* ---- cases ---- */
/* In memory of their own, so that a read beyond them is seen. */
static unsigned *numbers_of(const char *text, size_t *n) {
  static unsigned found[MAX_NUMBERS];
  char *end;
  *n = 0;
  for (;; text = end) {
    const unsigned long number = strtoul(text, &end, 10);
    if (end == text || *n == MAX_NUMBERS) break;
    found[(*n)++] = (unsigned)number;
  }
  unsigned *const values = malloc(*n * sizeof *values + !*n);
  memcpy(values, found, *n * sizeof *values);
  return values;
}

static void print_values(size_t n, const unsigned *values) {
  for (size_t i = 0; i < n; i++) printf("%s%u", i ? " " : "", values[i]);
}

static void print_json(size_t n, const unsigned *values) {
  char *json;
  printf("%s", CODEC.hdf5_to_codec(n, values, &json) ? "-" : json);
  free(json);
}

static void case_json(const char *line) {
  size_t n;
  unsigned *values;
  char *const text = strdup(line);
  if (CODEC.codec_to_hdf5(text, &n, &values)) {
    printf("-");
  } else {
    print_values(n, values);
    printf(" = ");
    print_json(n, values);
  }
  free(values);
  free(text);
}

static void case_values(const char *line) {
  size_t n;
  unsigned *const values = numbers_of(line, &n);
  print_json(n, values);
  free(values);
}

static void case_variable(const char *line) {
  size_t n, n_working = 0;
  const char *const colon = strchr(line, ':');
  unsigned *const of = numbers_of(line, &n), *working = NULL;
  if (n < 5 || !colon || of[4] != n - 5 || of[0] > 11) exit(2);
  variable.type = (int)of[0], variable.endian = (int)of[1], variable.no_fill = (int)of[2], variable.first = of[3];
  variable.ndims = (int)of[4];
  for (size_t i = 5; i < n; i++) variable.chunks[i - 5] = of[i];
  unsigned *visible = numbers_of(colon + 1, &n);
  if (CODEC.modify_parameters(1, 2, &n, &visible, &n_working, &working)) printf("-");
  else print_values(n_working, working);
  free(of), free(visible), free(working);
}

int main(void) {
  static char line[MAX_LINE];
  setlocale(LC_ALL, "");
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (*line == 'J') case_json(line + 2);
    else if (*line == 'V') case_values(line + 1);
    else case_variable(line + 1);
    puts("");
  }
  return 0;
}
