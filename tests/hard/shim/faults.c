// Breaks what is under a program: preloaded, it counts the calls that change files below one folder and makes one of
// them fail, stop halfway, wait, or be the process's last.
//
// Calls are caught with seccomp (SECCOMP_RET_TRAP), not by replacing functions of libc: Rust's crates make some of
// them without libc (rustix), and none may be missed. The handler makes the call itself from one instruction that the
// filter lets pass. Clocks are read without a system call, so that clock_gettime alone is replaced by name.
//
// FAULTS_ROOT     calls on paths that begin with this count
// FAULTS_AT       number of the call, from 1, that FAULTS_KIND happens at; 0: none
// FAULTS_KIND     fail: it fails with FAULTS_ERRNO     full: it and every later one that takes room do
//                 short: a write writes half            short-full: half, and every later call fails
//                 kill-before, kill-after: SIGKILL      wait: until the file FAULTS_GO exists
//                 clock: the wall clock jumps by FAULTS_SECONDS
// FAULTS_LOG      a line a call, `NUMBER NAME PATH`, is appended here
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
__asm__(".text\n.type raw_call,@function\nraw_call:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n mov %rcx,%rdx\n"
        " mov %r8,%r10\n mov %r9,%r8\n mov 8(%rsp),%r9\n syscall\nraw_call_end:\n ret\n");
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
__asm__(".text\n.type raw_call,%function\nraw_call:\n mov x8,x0\n mov x0,x1\n mov x1,x2\n mov x2,x3\n mov x3,x4\n"
        " mov x4,x5\n mov x5,x6\n svc #0\nraw_call_end:\n ret\n");
#else
#error "no fault injection for this processor"
#endif
extern long raw_call(long number, long a, long b, long c, long d, long e, long f);
extern const char raw_call_end[];
#define CALL(n, a, b, c, d) raw_call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

enum kind { NONE, FAIL, FULL, SHORT, SHORT_FULL, KILL_BEFORE, KILL_AFTER, WAIT, CLOCK };
static const char *const KINDS[] = {"none", "fail", "full", "short", "short-full", "kill-before", "kill-after", "wait", "clock"};
// What a call takes: a path, a folder's descriptor and a path, a descriptor. ROOM: it fails on a full disk.
enum form { PATH, AT, FD };
enum { ROOM = 1, OPEN = 2, WRITE = 4, TWO = 8 };
static const struct { int number; const char *name; enum form form; int flags; } CALLS[] = {
#ifdef SYS_open
    {SYS_open, "open", PATH, ROOM | OPEN}, {SYS_creat, "creat", PATH, ROOM}, {SYS_rename, "rename", PATH, ROOM | TWO},
    {SYS_mkdir, "mkdir", PATH, ROOM}, {SYS_rmdir, "rmdir", PATH, 0}, {SYS_unlink, "unlink", PATH, 0},
    {SYS_link, "link", PATH, ROOM | TWO}, {SYS_symlink, "symlink", PATH, ROOM | TWO}, {SYS_chmod, "chmod", PATH, 0},
#endif
    {SYS_openat, "openat", AT, ROOM | OPEN}, {SYS_write, "write", FD, ROOM | WRITE}, {SYS_pwrite64, "pwrite", FD, ROOM | WRITE},
    {SYS_writev, "writev", FD, ROOM}, {SYS_fsync, "fsync", FD, ROOM}, {SYS_fdatasync, "fdatasync", FD, ROOM},
    {SYS_ftruncate, "ftruncate", FD, ROOM}, {SYS_truncate, "truncate", PATH, ROOM}, {SYS_fallocate, "fallocate", FD, ROOM},
    {SYS_copy_file_range, "copy_file_range", FD, ROOM | TWO}, {SYS_sendfile, "sendfile", FD, ROOM},
    {SYS_renameat, "renameat", AT, ROOM | TWO}, {SYS_renameat2, "renameat2", AT, ROOM | TWO}, {SYS_mkdirat, "mkdirat", AT, ROOM},
    {SYS_unlinkat, "unlinkat", AT, 0}, {SYS_linkat, "linkat", AT, ROOM | TWO}, {SYS_fchmod, "fchmod", FD, 0},
    {SYS_fchmodat, "fchmodat", AT, 0},
};
enum { N_CALLS = sizeof CALLS / sizeof *CALLS };

static char root[4096], go[4096];
static size_t root_len;
static enum kind kind;
static long at, jump_s;
static int error_number, log_fd = -1;
static atomic_long n_seen;
static atomic_int is_broken, has_jumped;

static void die(const char *what) {
    dprintf(2, "faults: %s: %s\n", what, strerror(errno));
    _exit(99);
}

// The path that a call is about, or nothing if it is not below the root.
static int is_ours(enum form form, const long *args, char *path, size_t size) {
    char link[64];
    const char *name = form == PATH ? (const char *)args[0] : form == AT ? (const char *)args[1] : "";
    if (!name) return 0;
    if (form != FD && name[0] == '/') {
        snprintf(path, size, "%s", name);
    } else {
        if (form == PATH || (form == AT && (int)args[0] == AT_FDCWD)) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", (int)args[form == FD ? 0 : 0]);
        long n = CALL(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
        if (n < 0) return 0;
        path[n] = 0;
        if (*name) snprintf(path + n, size - (size_t)n, "/%s", name);
    }
    return !strncmp(path, root, root_len);
}

static void on_trap(int signal_number, siginfo_t *info, void *context) {
    (void)signal_number;
    ucontext_t *state = context;
    int saved = errno;
#if defined(__x86_64__)
    greg_t *r = state->uc_mcontext.gregs;
    long args[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
#else
    unsigned long long *r = state->uc_mcontext.regs;
    long args[6] = {r[0], r[1], r[2], r[3], r[4], r[5]};
#endif
    int number = info->si_syscall, found = -1;
    for (int n = 0; n < N_CALLS; n++)
        if (CALLS[n].number == number) found = n;
    char path[4096];
    long result = 0;
    int is_done = 0, dies = 0;
    // A descriptor is asked for by its number where the call copies into its second argument's.
    long about[2] = {number == SYS_copy_file_range ? args[2] : args[0], args[1]};
    int counts = found >= 0 && is_ours(CALLS[found].form, about, path, sizeof path);
    if (counts && CALLS[found].flags & OPEN) {
        long flags = CALLS[found].form == AT ? args[2] : args[1];
        counts = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
    }
    if (counts) {
        long here = atomic_fetch_add(&n_seen, 1) + 1;
        int flags = CALLS[found].flags;
        if (log_fd >= 0) {
            char line[4300];
            int n = snprintf(line, sizeof line, "%ld %s %s\n", here, CALLS[found].name, path);
            CALL(SYS_write, log_fd, line, n, 0);
        }
        if (atomic_load(&is_broken) && flags & ROOM) {
            result = -error_number, is_done = 1;
        } else if (here == at) {
            switch (kind) {
            case FAIL: result = -error_number, is_done = 1; break;
            case FULL: atomic_store(&is_broken, 1); if (flags & ROOM) result = -error_number, is_done = 1; break;
            case SHORT_FULL: atomic_store(&is_broken, 1); /* fall through */
            case SHORT: if (flags & WRITE && args[2] > 1) args[2] /= 2; break;
            case KILL_BEFORE: CALL(SYS_kill, CALL(SYS_getpid, 0, 0, 0, 0), SIGKILL, 0, 0); for (;;) ;
            case KILL_AFTER: dies = 1; break;
            case CLOCK: atomic_store(&has_jumped, 1); break;
            case WAIT: {
                struct timespec nap = {0, 2000000};
                while (CALL(SYS_faccessat, AT_FDCWD, go, F_OK, 0) != 0) CALL(SYS_nanosleep, &nap, 0, 0, 0);
                break;
            }
            case NONE: break;
            }
        }
    }
    if (!is_done) result = raw_call(number, args[0], args[1], args[2], args[3], args[4], args[5]);
    if (dies) {
        CALL(SYS_kill, CALL(SYS_getpid, 0, 0, 0, 0), SIGKILL, 0, 0);
        for (;;) ;
    }
#if defined(__x86_64__)
    r[REG_RAX] = result;
#else
    r[0] = (unsigned long long)result;
#endif
    errno = saved;
}

static int (*real_clock)(clockid_t, struct timespec *);

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock) real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real_clock(clock, now);
    if (clock == CLOCK_REALTIME && atomic_load(&has_jumped)) now->tv_sec += jump_s;
    return result;
}

static long number_of(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULTS_ROOT");
    if (!text) return;
    snprintf(root, sizeof root, "%s", text);
    root_len = strlen(root);
    at = number_of("FAULTS_AT"), jump_s = number_of("FAULTS_SECONDS"), error_number = (int)number_of("FAULTS_ERRNO");
    if ((text = getenv("FAULTS_KIND")))
        for (int n = 0; n < (int)(sizeof KINDS / sizeof *KINDS); n++)
            if (!strcmp(text, KINDS[n])) kind = (enum kind)n;
    if ((text = getenv("FAULTS_GO"))) snprintf(go, sizeof go, "%s", text);
    if ((text = getenv("FAULTS_LOG")) && (log_fd = open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
        die(text);
    if (kind == CLOCK && at == 0) atomic_store(&has_jumped, 1);
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL)) die("sigaction");

    struct sock_filter filter[8 + N_CALLS + 2];
    int n = 0;
    uint64_t pass = (uint64_t)(uintptr_t)raw_call_end;
#define LOAD(field, more) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + (more))
#define EQUAL(value, yes, no) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
    filter[n++] = LOAD(arch, 0);
    filter[n++] = EQUAL(ARCH, 0, N_CALLS + 5);
    filter[n++] = LOAD(instruction_pointer, 0);
    filter[n++] = EQUAL(pass, 0, 2);
    filter[n++] = LOAD(instruction_pointer, 4);
    filter[n++] = EQUAL(pass >> 32, N_CALLS + 1, 0);
    filter[n++] = LOAD(nr, 0);
    for (int k = 0; k < N_CALLS; k++) filter[n++] = EQUAL(CALLS[k].number, N_CALLS - k, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)) die("seccomp");
}
