/* Sends a datagram to a port of the machine and waits for the answer. Argument: the port. */
#include "attack.h"
#include <netinet/in.h>
#include <arpa/inet.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct timeval patience = {2, 0};
  char byte;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 || send(fd, "x", 1, 0) < 0) return verdict(-1);
  return verdict(recv(fd, &byte, 1, 0));
}
