/* Makes packets of its own, with any sender. */
#include "attack.h"

int main(void) {
  return verdict(socket(AF_INET, SOCK_RAW, 1));
}
