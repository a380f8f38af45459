package cardea_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
)

func TestIDText(t *testing.T) {
	id := cardea.NewID[cardea.LinkID]()
	if id.IsZero() || id == cardea.NewID[cardea.LinkID]() {
		t.Fatal("a new id is zero or not new")
	}
	back, err := cardea.ParseID[cardea.LinkID](id.String())
	if err != nil || back != id {
		t.Fatalf("ParseID(%s) = %v, %v", id, back, err)
	}
	if n := len(id.String()); n != 22 {
		t.Fatalf("the text form has %d characters, want 22", n)
	}
}

func TestParseIDRefuses(t *testing.T) {
	good := cardea.LinkID{1, 2, 3}.String()
	for name, text := range map[string]string{
		"empty":              "",
		"zero":               strings.Repeat("A", 22),
		"short":              good[1:],
		"long":               good + "A",
		"padded":             good + "==",
		"line break within":  good[:21] + "\n" + good[21:],
		"line break instead": "\n" + good[1:],
		"standard alphabet":  "+/" + good[2:],
		"loose last bits":    good[:21] + "B",
		"foreign letters":    "ä" + good[2:],
	} {
		if id, err := cardea.ParseID[cardea.LinkID](text); !errors.Is(err, cardea.ErrInvalidID) {
			t.Errorf("%s: ParseID(%q) = %v, %v", name, text, id, err)
		}
	}
}

func TestIDInJSON(t *testing.T) {
	type doc struct {
		Link cardea.LinkID `json:"link"`
		Hash cardea.Hash   `json:"hash"`
	}
	for _, want := range []doc{{}, {cardea.LinkID{9}, cardea.Hash{7}}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got doc
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s read back as %v, %v", text, got, err)
		}
	}
	got := doc{Link: cardea.LinkID{1}}
	if err := json.Unmarshal([]byte(`{"link":"nonsense"}`), &got); err == nil || got.Link != (cardea.LinkID{1}) {
		t.Errorf("a bad id was read as %v, %v", got.Link, err)
	}
}

func TestParseDeviceID(t *testing.T) {
	const thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" // RFC 7638, Section 3.1
	if id, err := cardea.ParseDeviceID(thumbprint); err != nil || string(id) != thumbprint {
		t.Fatalf("ParseDeviceID = %q, %v", id, err)
	}
	for _, bad := range []string{"", thumbprint[1:], thumbprint + "A", thumbprint[:42] + "\n", thumbprint[:42] + "t", "../" + thumbprint[3:]} {
		if _, err := cardea.ParseDeviceID(bad); !errors.Is(err, cardea.ErrInvalidID) {
			t.Errorf("ParseDeviceID(%q): %v", bad, err)
		}
	}
}

func TestHashText(t *testing.T) {
	want := cardea.Hash{0xab, 31: 1}
	text, err := want.MarshalText()
	if err != nil || len(text) != 64 {
		t.Fatalf("MarshalText = %s, %v", text, err)
	}
	var got cardea.Hash
	if err := got.UnmarshalText(text); err != nil || got != want {
		t.Fatalf("read back %s, %v", got, err)
	}
	for _, bad := range []string{"ab", strings.Repeat("g", 64), "abcd" + strings.Repeat("z", 60), string(text) + "00"} {
		if err := got.UnmarshalText([]byte(bad)); !errors.Is(err, cardea.ErrInvalidID) || !got.IsZero() {
			t.Errorf("UnmarshalText(%q): %s, %v", bad, got, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", cardea.LinkID{1}.String(), strings.Repeat("A", 22), strings.Repeat("_", 22), "\n" + strings.Repeat("A", 21) + "Q"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := cardea.ParseID[cardea.EventID](text); err == nil && (id.IsZero() || id.String() != text) {
			t.Errorf("%q was read as %v", text, id)
		}
		var id cardea.EventID
		if err := id.UnmarshalText([]byte(text)); err == nil {
			if back, _ := id.MarshalText(); string(back) != text {
				t.Errorf("%q was read and written as %q", text, back)
			}
		}
	})
}
