/* portable_math.h: erf, exp, log1p and atan whose bytes are the same on every machine; see portable_math.c. */
#ifndef ACC_PORTABLE_MATH_H
#define ACC_PORTABLE_MATH_H

double acc_erf(double x);
double acc_exp(double x);
double acc_log1p(double x); /* x > -1 */
double acc_atan(double x);

/* Approximations, for first guesses only: nothing that is written depends on them. */
double acc_guess_gaussian(double p); /* quantile of the standard normal distribution, 0 < p < 1 */
double acc_guess_log(double x);      /* x > 0, normal */
double acc_guess_cauchy(double p);   /* quantile of the standard Cauchy distribution, 0 < p < 1 */

#endif
