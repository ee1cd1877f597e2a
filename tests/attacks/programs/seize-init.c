/* Becomes the tracer of the process that keeps the meter. Argument: its number. */
#include "attack.h"
#include <sys/ptrace.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  return verdict(ptrace(PTRACE_SEIZE, atoi(argv[1]), 0, 0));
}
