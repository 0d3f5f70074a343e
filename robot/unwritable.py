"""What to do about a file or folder that cannot be written, in English and Chinese: room, rights and broken disks need different hands. Pure."""

from __future__ import annotations

import errno

from robot.texts import Text

FULL = (errno.ENOSPC, errno.EDQUOT)
ADVICE = {
    "full": Text("make room there", "请在该处腾出空间"),
    "denied": Text("let this account write there", "请允许当前账户写入该处"),
    "read_only": Text(
        "the file system is read-only: mount it for writing, or replace a worn-out card",
        "文件系统为只读：请以可写方式挂载，或更换老化的存储卡",
    ),
    "missing": Text("make that folder", "请创建该文件夹"),
    "no_folder": Text("a file is where a folder should be: move it away", "应为文件夹处是一个文件：请将其移走"),
    "disk": Text("look at the disk and its mount", "请检查磁盘及其挂载"),
}
_KINDS = {
    **dict.fromkeys(FULL, "full"),
    errno.EFBIG: "full",  # a limit of the account
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "read_only",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "no_folder",
    errno.EEXIST: "no_folder",
}


def kind(error: OSError) -> str:
    """Returns what stands in the way, as a key of `ADVICE`."""
    return _KINDS.get(error.errno or 0, "disk")


def advice(error: OSError) -> Text:
    """Returns what to do, to follow a colon or a comma."""
    return ADVICE[kind(error)]
