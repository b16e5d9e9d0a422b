/* LD_PRELOAD shim: makes chosen file operations of a process fail, or wait, as broken storage does.
 *
 * The file that STORAGE_FAULTS names holds one rule a line, "op text nth action": from the nth operation
 * `op` on whose path contains `text` ("3" that one alone, "3+" all from then on), `action` is an error
 * number to fail with, or "wait": the operation waits until the file says something else. It is read
 * anew whenever an operation is looked at, and when it has changed, counting starts again. A rule that
 * has struck makes "<file>.struck". "<file>.clock" holds seconds that are added to the time of day.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_RULES 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char known[4096];
static int counts[MAX_RULES];

static int read_rules(char *text) {
    const char *name = getenv("STORAGE_FAULTS");
    int descriptor = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return 0;
    long n = syscall(SYS_read, descriptor, text, sizeof known - 1);
    syscall(SYS_close, descriptor);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

static void tell(void) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.struck", getenv("STORAGE_FAULTS"));
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor >= 0) syscall(SYS_close, descriptor);
}

/* The path of an operation in `out`: through /proc/self/fd, and relative to an open directory. */
static void resolve(int directory, const char *path, char *out) {
    char link[64];
    const char *rest = path;
    if (strncmp(path, "/proc/self/fd/", 14) == 0) {
        directory = (int)strtol(path + 14, (char **)&rest, 10);
    } else if (path[0] == '/' || directory == AT_FDCWD) {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 300);
    n = n > 0 ? n : 0;
    snprintf(out + n, (size_t)(PATH_MAX - n), "%s%.255s", *rest && *rest != '/' ? "/" : "", rest);
}

/* 0: go on; else the error number to fail with. Waits where a rule says so. */
static int struck(const char *op, int directory, const char *path) {
    static __thread int inside;
    char text[sizeof known], where[PATH_MAX];
    int failure = 0;
    if (inside || !read_rules(text)) return 0;
    inside = 1;
    resolve(directory, path, where);
    for (int waits = 1; waits;) {
        waits = 0;
        pthread_mutex_lock(&lock);
        if (strcmp(text, known) != 0) {
            memcpy(known, text, sizeof known);
            memset(counts, 0, sizeof counts);
        }
        char copy[sizeof known], *rest = NULL;
        memcpy(copy, text, sizeof copy);
        int number = 0;
        for (char *line = strtok_r(copy, "\n", &rest); line && number < MAX_RULES;
             line = strtok_r(NULL, "\n", &rest), number++) {
            char rule_op[16], part[256], nth[16], action[16];
            if (sscanf(line, "%15s %255s %15s %15s", rule_op, part, nth, action) != 4) continue;
            if (strcmp(op, rule_op) != 0 || !strstr(where, part)) continue;
            int n = atoi(nth), count = ++counts[number];
            if (count != n && !(count > n && strchr(nth, '+'))) continue;
            if (strcmp(action, "wait") == 0) waits = 1;
            else failure = atoi(action);
            break;
        }
        pthread_mutex_unlock(&lock);
        if (waits || failure) tell();
        if (waits) {
            char now[sizeof known];
            struct timespec moment = {0, 5000000};
            do {
                nanosleep(&moment, NULL);
                if (!read_rules(now)) now[0] = 0;
            } while (strcmp(now, text) == 0);
            memcpy(text, now, sizeof text);
            if (!text[0]) waits = 0;
        }
    }
    inside = 0;
    return failure;
}

static int struck_at(const char *op, int descriptor) {
    char path[32];
    if (descriptor < 3) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return struck(op, AT_FDCWD, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF(condition)        \
    do {                          \
        int failure_ = condition; \
        if (failure_) {           \
            errno = failure_;     \
            return -1;            \
        }                         \
    } while (0)

ssize_t write(int fd, const void *data, size_t n) { FAIL_IF(struck_at("write", fd)); return REAL(write)(fd, data, n); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { FAIL_IF(struck_at("write", fd)); return REAL(pwrite)(fd, data, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { FAIL_IF(struck_at("write", fd)); return REAL(pwrite64)(fd, data, n, at); }
int ftruncate(int fd, off_t n) { FAIL_IF(struck_at("truncate", fd)); return REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { FAIL_IF(struck_at("truncate", fd)); return REAL(ftruncate64)(fd, n); }
int fsync(int fd) { FAIL_IF(struck_at("fsync", fd)); return REAL(fsync)(fd); }
int fdatasync(int fd) { FAIL_IF(struck_at("fsync", fd)); return REAL(fdatasync)(fd); }

/* A close that fails has closed the descriptor, as Linux does. */
int close(int fd) {
    int failure = struck_at("close", fd), code = REAL(close)(fd);
    FAIL_IF(failure);
    return code;
}

#define OPEN(name)                                                      \
    int name(const char *path, int flags, ...) {                        \
        va_list rest;                                                   \
        va_start(rest, flags);                                          \
        mode_t mode = va_arg(rest, mode_t);                             \
        va_end(rest);                                                   \
        if (flags & O_CREAT) FAIL_IF(struck("create", AT_FDCWD, path)); \
        return REAL(name)(path, flags, mode);                           \
    }
OPEN(open)
OPEN(open64)

int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = REAL(clock_gettime)(clock, now);
    if (code == 0 && clock == CLOCK_REALTIME && getenv("STORAGE_FAULTS")) {
        char name[PATH_MAX], text[32];
        snprintf(name, sizeof name, "%s.clock", getenv("STORAGE_FAULTS"));
        int descriptor = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
        if (descriptor >= 0) {
            long n = syscall(SYS_read, descriptor, text, sizeof text - 1);
            syscall(SYS_close, descriptor);
            text[n > 0 ? n : 0] = 0;
            now->tv_sec += atol(text);
        }
    }
    return code;
}

int mkdirat(int directory, const char *path, mode_t mode) { FAIL_IF(struck("mkdir", directory, path)); return REAL(mkdirat)(directory, path, mode); }
int renameat(int from, const char *old, int to, const char *new) { FAIL_IF(struck("rename", from, old)); return REAL(renameat)(from, old, to, new); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) { FAIL_IF(struck("rename", from, old)); return REAL(renameat2)(from, old, to, new, flags); }
