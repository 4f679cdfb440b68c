/* words.c: memory of coders, and which functions a coder has.
 *
 * Invariants: len <= cap; data is NULL or holds cap words.
 */
#include "words.h"

int acc_precision(int preset) { return (int)precision_of(preset); }
size_t acc_word_size(int preset) { return word_size(preset); }

int acc_words_set(acc_words *to, const void *data, size_t len, size_t size) {
  to->data = NULL;
  to->len = to->cap = 0;
  if (!len) return ACC_OK;
  to->data = malloc(len * size);
  if (!to->data) return ACC_E_MEMORY;
  memcpy(to->data, data, len * size);
  to->len = to->cap = len;
  return ACC_OK;
}

int acc_words_copy(acc_words *to, const acc_words *from, size_t size) {
  return acc_words_set(to, from->data, from->len, size);
}

void acc_coder_free(acc_coder *c) {
  free(c->words.data);
  free(c->rest.data);
  memset(c, 0, sizeof *c);
}

const acc_ops *acc_ops_of(int coder, int preset) {
  return coder == ACC_STACK ? &acc_stack_ops[preset] : coder == ACC_CHAIN ? &acc_chain_ops[preset] : &acc_queue_ops[preset];
}
