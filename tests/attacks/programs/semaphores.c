/* Reads System V semaphores of the machine. Argument: their key. */
#include "attack.h"
#include <sys/sem.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int id = semget(atoi(argv[1]), 0, 0);
  return verdict(id < 0 ? id : semctl(id, 0, GETVAL));
}
