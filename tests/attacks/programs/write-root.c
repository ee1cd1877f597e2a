/* Makes a file in the root directory. */
#include "attack.h"

int main(void) {
  int fd = open("/orien-attack", O_CREAT | O_WRONLY, 0600);
  if (fd >= 0) unlink("/orien-attack");
  return verdict(fd);
}
