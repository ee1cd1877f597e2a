/* Gives a file of the workspace the right of its owner by chmod. */
#include "attack.h"

int main(void) {
  const char *path = "./orien-attack-set-id-chmod";
  int result = (close(open(path, O_CREAT | O_WRONLY, 0600)), chmod(path, 04755)), error = errno;
  remove(path);
  errno = error;
  return verdict(result);
}
