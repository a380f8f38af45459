package qrtest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/pairing/qr"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

const address = "http://192.0.2.7:8080/pair?code=WDJB-MJHT"

func code(t *testing.T) string {
	t.Helper()
	text, err := qr.Colored(address)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDecodeTerminalFindsTheCodeInACapture(t *testing.T) {
	plain, err := qr.Terminal(address, false)
	if err != nil {
		t.Fatal(err)
	}
	captures := map[string]string{
		"among lines":      "\x1b[1mCardea\x1b[0m\nbuilding\n\n" + code(t) + "\nscan it: " + address + "\n",
		"carriage returns": strings.ReplaceAll(code(t), "\n", "\r\n"),
		"a title, a bar":   "\x1b]0;demo\a████████ 100 %\n" + code(t) + "████ done\n",
		"indented":         "    " + strings.ReplaceAll(code(t), "\n", "  | beside it\n    ") + "\n",
		"no colours":       "Cardea\n" + plain + "Cardea\n",
		"true colour":      strings.ReplaceAll(code(t), "38;5;16;48;5;231", "38;2;0;0;0;48;2;255;255;255"),
		"named":            strings.ReplaceAll(code(t), "38;5;16;48;5;231", "30;107"),
		"reversed":         strings.ReplaceAll(code(t), "38;5;16;48;5;231", "97;40;7"),
	}
	for name, text := range captures {
		if got, err := qrtest.DecodeTerminal(text); got != address {
			t.Errorf("%s: read as %q, %v", name, got, err)
		}
	}
}

func TestDecodeFindsNothingWhereNothingIs(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "words": strings.Repeat("no code here\n", 30),
		"blocks":     strings.Repeat(strings.Repeat("█▀▄ ", 10)+"\n", 20),
		"torn":       code(t)[:len(code(t))/2],
		"cut escape": "\x1b[", "bad bytes": "\xff\xfe\x1b\x1b[38;5m█\x1b[38mx",
	} {
		if got, err := qrtest.DecodeTerminal(text); !errors.Is(err, qrtest.ErrNotFound) {
			t.Errorf("%s: read as %q, %v", name, got, err)
		}
	}
	if _, err := qrtest.DecodePNG([]byte("no picture")); err == nil {
		t.Error("read a code from bytes that are no picture")
	}
}

func FuzzDecodeTerminal(f *testing.F) {
	f.Add("\x1b[38;5;16;48;5;231m▀▄█\x1b[0m\n")
	f.Add("\x1b[38;2;1mx")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := qrtest.DecodeTerminal(text); err == nil && got == "" {
			t.Error("read an empty code")
		}
	})
}
