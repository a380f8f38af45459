package page_test

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// However the machine's clocks run, lag, are suspended, set and fail, the C client
// gives a yes until its second and no longer.
func TestTheCClientAndItsClocks(t *testing.T) {
	w := newWorld(t)
	program := buildC(t, "clock")
	file := w.file()
	w.state(consent("voice/use", cardea.ReasonGranted, cardea.ClassA, 30))
	beat := int(w.read() / time.Second)
	cmd := exec.Command(program, "voice/use", strconv.Itoa(beat), strconv.Itoa(beat+30))
	cmd.ExtraFiles = []*os.File{file}
	if said, err := cmd.CombinedOutput(); err != nil || string(said) != "a yes ends at its second\n" {
		t.Errorf("%v: %s", err, said)
	}
}
