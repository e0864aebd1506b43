"""A filter on system calls, written for bubblewrap: what an answer has no business asking of the kernel.

Namespaces already hide the host. The filter takes away the rest: ways to make namespaces anew, memory that no limit
counts, sockets other than local ones, and parts of the kernel that answers do not need and attackers like.
"""

import struct

CLONE_NEW_ANY = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
AF_UNIX = 1
EPERM, ENOSYS = 1, 38
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000

# name: number on x86_64, number on aarch64
REFUSED = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "fanotify_init": (300, 262),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
# AUDIT_ARCH, column of REFUSED, and the numbers of clone, clone3 and socket.
_MACHINES = {"x86_64": (0xC000003E, 0, 56, 435, 41), "aarch64": (0xC00000B7, 1, 220, 435, 198)}
MACHINES = tuple(_MACHINES)


def filter_program(machine: str) -> bytes:
    """Assemble the filter for one kind of machine, as `bwrap --seccomp` reads it.

    Raises
    ------
    ValueError
        If the system calls of this machine are not listed here.
    """
    if machine not in _MACHINES:
        raise ValueError(f"machine = {machine!r} is not among those the sandbox knows: {', '.join(MACHINES)}")
    architecture, column, clone, clone3, socket = _MACHINES[machine]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for numbers in REFUSED.values():
        program += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERRNO | EPERM)]
    # The flags of clone3 stand in memory, out of a filter's sight; without it the C library falls back on clone.
    program += [(_EQUAL, 0, 1, clone3), (_RETURN, 0, 0, _ERRNO | ENOSYS)]
    program += [
        (_EQUAL, 0, 4, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, CLONE_NEW_ANY),
        (_RETURN, 0, 0, _ERRNO | EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, 3, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
