/* Turns off the randomisation of addresses. */
#include "attack.h"

int main(void) {
  return verdict(syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */));
}
