/* quantize.h: probabilities as integers that sum to 2^P; see quantize.c. */
#ifndef ACC_QUANTIZE_H
#define ACC_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

/* Cumulated probabilities of a row, as the fast way needs them: sum of what is left of each symbol. */
int acc_cumulate(const void *row, size_t n, int f32, int precision, void *left, double *scale);
/* acc_cumulate of four rows at once, each with its status and scale; `left` has n entries per row. */
void acc_cumulate_four(const void *const rows[4], size_t n, int f32, int precision, void *left, double scale[4],
                       int status[4]);
/* Left ends of all symbols of a row. */
void acc_left_ends(const void *left, size_t n, int f32, double scale, int32_t *ends);
/* The left end of symbol i from what acc_cumulate made. */
uint32_t acc_left_end(const void *left, size_t i, int f32, double scale);

/* Towards zero, and to the nearest end where it does not fit; 0 for what is not a number. */
static inline uint32_t acc_to_u32(double x) { return x >= 4294967295.0 ? 0xffffffff : x > 0 ? (uint32_t)x : 0; }

size_t acc_perfect_scratch(size_t n);
int acc_perfect(const void *row, size_t n, int f32, int precision, uint32_t *cdf, void *scratch);

#endif
