// For LD_PRELOAD: a TCP connection to BENCH_ORIGIN_PORT of IPv4 becomes one to the proxy at 127.0.0.1:BENCH_PROXY_PORT, which is asked by
// BENCH_CONNECT (a whole head) to connect on. The program, which knows of no proxy, waits for that; later nothing is in the way of its bytes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int refuse(int fd, int flags) {
  fcntl(fd, F_SETFL, flags);
  errno = ECONNREFUSED;
  return -1;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  static int (*next)(int, const struct sockaddr *, socklen_t);
  if (next == NULL) next = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
  const char *origin = getenv("BENCH_ORIGIN_PORT"), *proxy = getenv("BENCH_PROXY_PORT"), *head = getenv("BENCH_CONNECT");
  if (origin == NULL || proxy == NULL || head == NULL || address->sa_family != AF_INET || ntohs(((const struct sockaddr_in *)address)->sin_port) != atoi(origin)) {
    return next(fd, address, length);
  }
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(proxy)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  if (next(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    fcntl(fd, F_SETFL, flags);
    return -1;
  }
  for (size_t sent = 0, all = strlen(head); sent < all;) {
    ssize_t wrote = write(fd, head + sent, all - sent);
    if (wrote <= 0) return refuse(fd, flags);
    sent += (size_t)wrote;
  }
  // Byte by byte, so that nothing of the tunnel is taken.
  char answer[4096];
  for (size_t read_ = 0; read_ < sizeof answer - 1;) {
    if (read(fd, answer + read_, 1) != 1) return refuse(fd, flags);
    answer[++read_] = 0;
    if (read_ < 4 || strcmp(answer + read_ - 4, "\r\n\r\n") != 0) continue;
    if (strncmp(answer + 8, " 200", 4) != 0) return refuse(fd, flags);
    fcntl(fd, F_SETFL, flags);
    return 0;
  }
  return refuse(fd, flags);
}
