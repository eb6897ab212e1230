/**
 * System call numbers, `[x86_64, aarch64]`, from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl,
 * include/uapi/asm-generic/unistd.h); `undefined` where an architecture has none.
 */
type Numbers = readonly [x64: number, arm64: number | undefined];

/** The first number that these lists do not know. What is newer is unknown, and so closed. */
export const firstUnknown = 468;

/** Judged by their arguments. */
export const judged = {
  socket: [41, 198], clone: [56, 220], ioctl: [16, 29], personality: [135, 92],
} as const satisfies Record<string, Numbers>;

/**
 * Answered as if the kernel had none of them, so that programs fall back: io_uring makes sockets past any filter
 * (IORING_OP_SOCKET), and clone3 has its flags behind a pointer that a filter cannot follow.
 */
export const absent = {
  clone3: [435, 435], io_uring_setup: [425, 425], io_uring_enter: [426, 426], io_uring_register: [427, 427],
} as const satisfies Record<string, Numbers>;

/** Answered with EPERM. */
export const forbidden = {
  // Namespaces and mounts.
  unshare: [272, 97], setns: [308, 268], mount: [165, 40], umount2: [166, 39], pivot_root: [155, 41], chroot: [161, 51],
  open_tree: [428, 428], move_mount: [429, 429], fsopen: [430, 430], fsconfig: [431, 431], fsmount: [432, 432], fspick: [433, 433],
  mount_setattr: [442, 442], open_tree_attr: [467, 467],
  // Reaching into other processes.
  ptrace: [101, 117], process_vm_readv: [310, 270], process_vm_writev: [311, 271], kcmp: [312, 272], pidfd_getfd: [438, 438],
  process_madvise: [440, 440],
  // Keyrings are the host user's, not the namespace's.
  keyctl: [250, 219], add_key: [248, 217], request_key: [249, 218],
  // Much kernel behind one call.
  bpf: [321, 280], perf_event_open: [298, 241], userfaultfd: [323, 282], fanotify_init: [300, 262],
  // Files by handle pass the folders above them.
  open_by_handle_at: [304, 265], name_to_handle_at: [303, 264],
  // The machine itself.
  init_module: [175, 105], finit_module: [313, 273], delete_module: [176, 106], kexec_load: [246, 104], kexec_file_load: [320, 294],
  reboot: [169, 142], swapon: [167, 224], swapoff: [168, 225], acct: [163, 89], quotactl: [179, 60], quotactl_fd: [443, 443],
  sethostname: [170, 161], setdomainname: [171, 162], syslog: [103, 116], vhangup: [153, 58],
  settimeofday: [164, 170], clock_settime: [227, 112], clock_adjtime: [305, 266], adjtimex: [159, 171],
  // Placement of memory on other people's nodes.
  mbind: [237, 235], set_mempolicy: [238, 237], migrate_pages: [256, 238], move_pages: [279, 239], set_mempolicy_home_node: [450, 450],
  // Leftovers of old kernels.
  lookup_dcookie: [212, 18], nfsservctl: [180, 42], iopl: [172, undefined], ioperm: [173, undefined], modify_ldt: [154, undefined],
  uselib: [134, undefined], ustat: [136, undefined], sysfs: [139, undefined], _sysctl: [156, undefined], create_module: [174, undefined],
  get_kernel_syms: [177, undefined], query_module: [178, undefined],
} as const satisfies Record<string, Numbers>;
