/* Enters a namespace. */
#include "attack.h"

int main(void) {
  return verdict(setns(open("/proc/self/ns/net", O_RDONLY), 0));
}
