/* solve.c: see solve.h.  By the decomposition of A.-L. Cholesky (C. Benoît, Bulletin géodésique 2 (1924) 67).
 *
 * Invariant: + - * / and square roots in one order, so that every machine finds the same coefficients.
 */
#include "solve.h"

#include <math.h>

int ac_solve(double *a, unsigned n, const double *b, double *x) {
  for (unsigned i = 0; i < n; i++)
    for (unsigned j = 0; j <= i; j++) {
      double sum = a[i * n + j];
      for (unsigned k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      if (i == j && !(sum > 0)) return 0;
      a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
    }
  for (unsigned i = 0; i < n; i++) {
    double sum = b[i];
    for (unsigned k = 0; k < i; k++) sum -= a[i * n + k] * x[k];
    x[i] = sum / a[i * n + i];
  }
  for (unsigned i = n; i-- > 0;) {
    for (unsigned k = i + 1; k < n; k++) x[i] -= a[k * n + i] * x[k];
    x[i] /= a[i * n + i];
  }
  return 1;
}
