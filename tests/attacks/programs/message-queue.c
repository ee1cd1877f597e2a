/* Reaches a System V message queue of the machine. Argument: its key. */
#include "attack.h"
#include <sys/msg.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  return verdict(msgget(atoi(argv[1]), 0));
}
