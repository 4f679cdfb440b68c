/* solve.h: linear equations of least squares, for the encoder's choice of coefficients (linear.c, stencil.c). */
#ifndef AC_SOLVE_H
#define AC_SOLVE_H

/* x with A x = b, A symmetric of n rows of n: its lower triangle, which is overwritten.  0 if A is not positive definite. */
int ac_solve(double *a, unsigned n, const double *b, double *x);
#endif
