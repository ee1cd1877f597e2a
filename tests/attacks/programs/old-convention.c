/* Calls the kernel by the convention of 32-bit programs, whose numbers mean other calls. */
#include "attack.h"

int main(void) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
  return result > 0 ? 0 : stopped("no such convention");
}
