package page

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A life is a thread of the agent in whose name pages are alive. When the thread
// ends, however it ends, the kernel itself takes its number out of the pages: it
// does so for the locks a dead thread held (set_robust_list(2)), and each page
// has a word that looks like such a lock. So the pages of an agent that was
// killed are dead before another agent can start.
type life struct {
	tid    uint32
	memory []byte // the list's head, where no garbage collector moves it
}

// robustHead is the kernel's struct robust_list_head. Its entries stand in the
// memory before each page, and their lock is the page's word of the owner.
type robustHead struct {
	next    uintptr
	offset  uintptr
	pending uintptr
}

// lockOffset is from an entry to its page's word of the owner.
var lockOffset = uintptr(os.Getpagesize() + OwnerOffset)

// begin ties pages to the calling thread, which must be the goroutine's own.
func begin() (*life, error) {
	memory, err := unix.Mmap(-1, 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	l := &life{tid: uint32(unix.Gettid()), memory: memory}
	head := l.head()
	head.next, head.offset = uintptr(unsafe.Pointer(head)), lockOffset
	if _, _, errno := unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(head)), unsafe.Sizeof(*head), 0); errno != 0 {
		unix.Munmap(memory)
		return nil, fmt.Errorf("pages: the kernel keeps no list of robust locks: %w", errno)
	}
	return l, nil
}

func (l *life) head() *robustHead { return (*robustHead)(unsafe.Pointer(unsafe.SliceData(l.memory))) }

// hold makes a page alive for as long as the thread is.
func (l *life) hold(p *Page) {
	entry := (*uintptr)(p.memory)
	*entry = l.head().next
	l.head().next = uintptr(unsafe.Pointer(entry))
	store(p.words, wordOwner, l.tid)
}

// end lets go of all pages. Their memory may go then.
func (l *life) end() { l.head().next = uintptr(unsafe.Pointer(l.head())) }
