package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "cardea demo"},
		{"dance", "cardea demo"},
		{"demo -owner nobody", "you or script"},
		{"demo -fault deny", "needs -owner script"},
		{"demo -owner script -fault fire", "knows only deny"},
		{"demo -kind toaster", "speaker or car"},
		{"demo now", "unexpected argument"},
		{"demo -nonsense", "not defined"},
	} {
		err := run(t.Context(), strings.Fields(test.args), os.Stdin, new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("cardea %s: %v, want %q in it", test.args, err, test.want)
		}
	}
}

func TestCarriage(t *testing.T) {
	var out bytes.Buffer
	n, err := carriage{&out}.Write([]byte("a\nb\n"))
	if out.String() != "a\r\nb\r\n" || n != 4 || err != nil {
		t.Errorf("%q, %d, %v", out.String(), n, err)
	}
}
