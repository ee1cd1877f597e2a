/* Signals a process of the machine. Argument: its number. */
#include "attack.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  return verdict(kill(atoi(argv[1]), 0));
}
