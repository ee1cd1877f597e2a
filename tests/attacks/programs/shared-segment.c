/* Reads a System V segment of the machine. Argument: its key. */
#include "attack.h"
#include <sys/shm.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int id = shmget(atoi(argv[1]), 0, 0);
  return verdict(id < 0 ? id : shmat(id, 0, SHM_RDONLY) == (void *)-1 ? -1 : 0);
}
