package main

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
)

// A file is one of the machine's first file system. A nil text is a folder.
type file struct {
	mode uint32 // permissions only
	text []byte
}

// The kinds of files, as stat(2) has them.
const (
	kindFolder = 0o040000
	kindFile   = 0o100000
)

// archive packs files, by their path without a leading slash, as the kernel
// unpacks them into its first file system: cpio, "newc" (see
// Documentation/driver-api/early-userspace/buffer-format.rst).
func archive(files map[string]file) []byte {
	all := maps.Clone(files)
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, there := all[dir]; !there {
				all[dir] = file{mode: 0o755}
			}
		}
	}
	var out bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(all)) { // a folder sorts before what is in it
		entry(&out, i+1, name, all[name])
	}
	entry(&out, 0, "TRAILER!!!", file{text: []byte{}})
	return out.Bytes()
}

func entry(out *bytes.Buffer, inode int, name string, f file) {
	kind := uint32(kindFile)
	if f.text == nil {
		kind = kindFolder
	}
	fmt.Fprint(out, "070701")
	for _, n := range []uint32{
		uint32(inode), kind | f.mode, 0, 0, 1, 0, // inode, mode, user, group, links, time
		uint32(len(f.text)), 0, 0, 0, 0, uint32(len(name) + 1), 0, // size, devices, name's size, sum
	} {
		fmt.Fprintf(out, "%08X", n)
	}
	out.WriteString(name)
	out.WriteByte(0)
	pad(out)
	out.Write(f.text)
	pad(out)
}

// pad fills up to a multiple of four.
func pad(out *bytes.Buffer) {
	for out.Len()%4 != 0 {
		out.WriteByte(0)
	}
}
