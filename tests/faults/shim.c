// Counts the calls that change files below a folder, and makes the n-th of them go wrong.
//
// Preloaded into a process (LD_PRELOAD), it stands between it and libc: writes, syncs, files opened for writing,
// renames, links, removals and new folders. Nothing happens until faults_arm. Processes that it forks or starts from
// then on (workers) are armed as it is, and count with it. No sync reaches the disk, which makes a trial quick: what a
// power cut would leave is worked out from the log (power_loss.py).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { COUNT, KILL, NO_SPACE, IO_ERROR, SHORT_WRITE };

// What a call is to do: go on, fail with errno, write half, or end the process once it is done.
enum verdict { GO_ON, FAIL, HALF, DIE };

// What all processes of a trial share: a file whose path is in the environment of those that are started.
struct plan {
  enum mode mode;
  long target, calls, fired;
  char folder[PATH_MAX], log[PATH_MAX];
  pthread_mutex_t one_at_a_time;
};

static const char* const PLAN = "FAULTS_PLAN";
static struct plan* plan;
static int armed, log_file = -1;

static void share(const char* path) {
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  syscall(SYS_ftruncate, file, sizeof *plan);
  plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
}

static void arm(void) {
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  if (*plan->log) log_file = syscall(SYS_openat, AT_FDCWD, plan->log, flags, 0644);
  armed = 1;
}

__attribute__((constructor)) static void armed_as_the_parent(void) {
  if (!getenv(PLAN)) return;
  share(getenv(PLAN));
  arm();
}

// The file `shared` is new or gone.
void faults_arm(const char* folder, long target, int mode, const char* log, const char* shared) {
  pthread_mutexattr_t attributes;
  share(shared);
  snprintf(plan->folder, sizeof plan->folder, "%s", folder);
  snprintf(plan->log, sizeof plan->log, "%s", log ? log : "");
  plan->target = target;
  plan->mode = mode;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&plan->one_at_a_time, &attributes);
  setenv(PLAN, shared, 1);
  arm();
}

void faults_disarm(void) { armed = 0; }
long faults_calls(void) { return plan->calls; }
long faults_fired(void) { return plan->fired; }

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int is_below(const char* path) {
  size_t length = strlen(plan->folder);
  return !strncmp(path, plan->folder, length) && (path[length] == '/' || !path[length]);
}

static void absolute(int folder, const char* path, char* out) {
  char link[64], base[PATH_MAX];
  if (path[0] == '/') {
    snprintf(out, PATH_MAX, "%s", path);
    return;
  }
  if (folder == AT_FDCWD)
    snprintf(link, sizeof link, "/proc/self/cwd");
  else
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, base, sizeof base - 1);
  base[length < 0 ? 0 : length] = 0;
  size_t room = strlen(base);
  snprintf(out, PATH_MAX, "%s", base);
  snprintf(out + room, PATH_MAX - room, "/%s", path);
}

static int opened(int descriptor, char* out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, out, PATH_MAX - 1);
  out[length < 0 ? 0 : length] = 0;
  return length > 0 && is_below(out);
}

static void note(const char* kind, const char* path, const char* other) {
  char line[2 * PATH_MAX + 64];
  int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", kind, path, other);
  if (log_file >= 0) syscall(SYS_write, log_file, line, length);
}

static int needs_room(const char* kind) { return strcmp(kind, "unlink") && strcmp(kind, "fsync"); }

static enum verdict event(const char* kind, const char* path, const char* other, int writes) {
  enum verdict verdict = GO_ON;
  pthread_mutex_lock(&plan->one_at_a_time);
  long number = ++plan->calls;
  note(kind, path, other);
  int now = number == plan->target, after = plan->target > 0 && number >= plan->target;
  if (now && plan->mode == KILL) verdict = DIE;
  if (now && plan->mode == SHORT_WRITE && writes) verdict = HALF;
  if (now && plan->mode == IO_ERROR) {
    verdict = FAIL;
    errno = EIO;
  }
  if (after && plan->mode == NO_SPACE && needs_room(kind)) {
    verdict = FAIL;
    errno = ENOSPC;
  }
  plan->fired += verdict != GO_ON;
  pthread_mutex_unlock(&plan->one_at_a_time);
  return verdict;
}

static enum verdict of_descriptor(const char* kind, int descriptor, int writes) {
  char path[PATH_MAX];
  return armed && opened(descriptor, path) ? event(kind, path, "", writes) : GO_ON;
}

static enum verdict of_path(const char* kind, int folder, const char* path) {
  char full[PATH_MAX];
  if (!armed) return GO_ON;
  absolute(folder, path, full);
  return is_below(full) ? event(kind, full, "", 0) : GO_ON;
}

static enum verdict of_paths(const char* kind, int folder, const char* path, int other_folder, const char* other) {
  char from[PATH_MAX], to[PATH_MAX];
  if (!armed) return GO_ON;
  absolute(folder, path, from);
  absolute(other_folder, other, to);
  return is_below(from) || is_below(to) ? event(kind, from, to, 0) : GO_ON;
}

#define DONE(asked, type, call)  \
  do {                           \
    enum verdict told = (asked); \
    if (told == FAIL) return -1; \
    type result = (call);        \
    if (told == DIE) die();      \
    return result;               \
  } while (0)

ssize_t write(int fd, const void* bytes, size_t size) {
  enum verdict verdict = of_descriptor("write", fd, 1);
  if (verdict == HALF && size > 1) size /= 2;
  DONE(verdict, ssize_t, syscall(SYS_write, fd, bytes, size));
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  enum verdict verdict = of_descriptor("write", fd, 1);
  if (verdict == HALF && size > 1) size /= 2;
  DONE(verdict, ssize_t, syscall(SYS_pwrite64, fd, bytes, size, at));
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) { return pwrite(fd, bytes, size, at); }

ssize_t writev(int fd, const struct iovec* parts, int count) {
  enum verdict verdict = of_descriptor("write", fd, 1);
  if (verdict == HALF && count) return syscall(SYS_write, fd, parts->iov_base, (parts->iov_len + 1) / 2);
  DONE(verdict, ssize_t, syscall(SYS_writev, fd, parts, count));
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  enum verdict verdict = of_descriptor("write", fd, 1);
  if (verdict == HALF && count) return syscall(SYS_pwrite64, fd, parts->iov_base, (parts->iov_len + 1) / 2, at);
  DONE(verdict, ssize_t, syscall(SYS_pwritev, fd, parts, count, at, 0));
}

ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

ssize_t sendfile(int out, int in, off_t* at, size_t size) {
  enum verdict verdict = of_descriptor("write", out, 1);
  if (verdict == HALF && size > 1) size /= 2;
  DONE(verdict, ssize_t, syscall(SYS_sendfile, out, in, at, size));
}

ssize_t sendfile64(int out, int in, off64_t* at, size_t size) { return sendfile(out, in, at, size); }

ssize_t copy_file_range(int in, off64_t* from, int out, off64_t* to, size_t size, unsigned flags) {
  enum verdict verdict = of_descriptor("write", out, 1);
  if (verdict == HALF && size > 1) size /= 2;
  DONE(verdict, ssize_t, syscall(SYS_copy_file_range, in, from, out, to, size, flags));
}

size_t fwrite(const void* bytes, size_t size, size_t count, FILE* file) {
  size_t (*real)(const void*, size_t, size_t, FILE*) = dlsym(RTLD_NEXT, "fwrite");
  enum verdict verdict = of_descriptor("write", fileno(file), 1);
  if (verdict == FAIL) return 0;
  if (verdict == HALF) {  // of the items; of a single one, half of its bytes, and none is told
    if (count > 1) return real(bytes, size, count / 2, file);
    real(bytes, 1, size / 2, file);
    return 0;
  }
  size_t result = real(bytes, size, count, file);
  if (verdict == DIE) {
    fflush_unlocked(file);
    die();
  }
  return result;
}

// What waits in a stream reaches its file here. It is lost with an error.
static enum verdict of_waiting(FILE* file) {
  int waits = armed && file && __fwritable(file) && __fpending(file);
  enum verdict verdict = waits ? of_descriptor("flush", fileno(file), 0) : GO_ON;
  if (verdict == FAIL) __fpurge(file);
  return verdict;
}

int fflush(FILE* file) {
  int (*real)(FILE*) = dlsym(RTLD_NEXT, "fflush");
  enum verdict verdict = of_waiting(file);
  if (verdict == FAIL) return EOF;
  int result = real(file);
  if (verdict == DIE) die();
  return result;
}

int fclose(FILE* file) {
  int (*real)(FILE*) = dlsym(RTLD_NEXT, "fclose");
  enum verdict verdict = of_waiting(file);
  int before = errno, result = real(file);
  if (verdict == DIE) die();
  if (verdict != FAIL) return result;
  errno = before;
  return EOF;
}

int fsync(int fd) { DONE(of_descriptor("fsync", fd, 0), int, 0); }
int fdatasync(int fd) { return fsync(fd); }
int ftruncate(int fd, off_t size) { DONE(of_descriptor("resize", fd, 0), int, syscall(SYS_ftruncate, fd, size)); }
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int is_new(int folder, const char* path) {
  struct stat found;
  return syscall(SYS_newfstatat, folder, path, &found, 0) != 0;
}

static int open_at(int folder, const char* path, int flags, mode_t mode) {
  int writes = (flags & O_CREAT) || (flags & O_ACCMODE) != O_RDONLY;
  if (!armed || !writes) return syscall(SYS_openat, folder, path, flags, mode);
  int before = errno;
  const char* kind = (flags & O_CREAT) && is_new(folder, path) ? "create" : "open";
  errno = before;
  DONE(of_path(kind, folder, path), int, syscall(SYS_openat, folder, path, flags, mode));
}

#define MODE_OF(flags)                   \
  mode_t mode = 0;                       \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest;                        \
    va_start(rest, flags);               \
    mode = va_arg(rest, int);            \
    va_end(rest);                        \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags);
  return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  MODE_OF(flags);
  return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  MODE_OF(flags);
  return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char* path, int flags, ...) {
  MODE_OF(flags);
  return open_at(folder, path, flags | O_LARGEFILE, mode);
}

int creat(const char* path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

FILE* fopen(const char* path, const char* how) {
  FILE* (*real)(const char*, const char*) = dlsym(RTLD_NEXT, "fopen");
  if (how[0] == 'r' && !strchr(how, '+')) return real(path, how);
  enum verdict verdict = of_path(armed && is_new(AT_FDCWD, path) ? "create" : "open", AT_FDCWD, path);
  if (verdict == FAIL) return NULL;
  FILE* result = real(path, how);
  if (verdict == DIE) die();
  return result;
}

FILE* fopen64(const char* path, const char* how) { return fopen(path, how); }

int renameat(int folder, const char* path, int other_folder, const char* other) {
  DONE(of_paths("rename", folder, path, other_folder, other), int,
       syscall(SYS_renameat2, folder, path, other_folder, other, 0));
}

int rename(const char* path, const char* other) { return renameat(AT_FDCWD, path, AT_FDCWD, other); }

int linkat(int folder, const char* path, int other_folder, const char* other, int flags) {
  DONE(of_paths("link", folder, path, other_folder, other), int,
       syscall(SYS_linkat, folder, path, other_folder, other, flags));
}

int link(const char* path, const char* other) { return linkat(AT_FDCWD, path, AT_FDCWD, other, 0); }

int unlinkat(int folder, const char* path, int flags) {
  DONE(of_path("unlink", folder, path), int, syscall(SYS_unlinkat, folder, path, flags));
}

int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char* path, mode_t mode) {
  DONE(of_path("mkdir", folder, path), int, syscall(SYS_mkdirat, folder, path, mode));
}

int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
