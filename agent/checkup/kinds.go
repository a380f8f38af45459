package checkup

import "fmt"

// kinds are the file systems by the magic number of statfs(2).
var kinds = map[int64]string{
	0xEF53: "ext4", 0xF2F52010: "f2fs", 0x24051905: "ubifs", 0x72B6: "jffs2", 0x01021994: "tmpfs", 0x858458F6: "ramfs",
	0x794C7630: "overlay", 0x9123683E: "btrfs", 0x58465342: "xfs", 0x2FC12FC1: "zfs", 0x4D44: "vfat", 0x2011BAB0: "exfat",
	0x6969: "nfs", 0xFF534D42: "cifs", 0xFE534D42: "smb2", 0x01021997: "9p", 0x65735546: "fuse", 0x73717368: "squashfs",
}

// What forgets at power-off, and what may not have kept what it said it kept.
var (
	inMemory  = []string{"tmpfs", "ramfs"}
	elsewhere = []string{"nfs", "cifs", "smb2", "9p", "vfat", "exfat"}
)

// kindOf names a file system. The number is 32 bits wide on some machines, and
// may have come with a sign.
func kindOf(magic int64) string {
	magic &= 0xFFFFFFFF
	if name, ok := kinds[magic]; ok {
		return name
	}
	return fmt.Sprintf("a file system %#x", magic)
}
