/* Makes a file among the libraries of the system. */
#include "attack.h"

int main(void) {
  int fd = open("/usr/lib/orien-attack", O_CREAT | O_WRONLY, 0600);
  if (fd >= 0) unlink("/usr/lib/orien-attack");
  return verdict(fd);
}
