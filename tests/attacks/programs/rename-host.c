/* Changes the name of the machine, to what it is. */
#include "attack.h"

int main(void) {
  char name[256];
  gethostname(name, sizeof name);
  return verdict(sethostname(name, strlen(name)));
}
