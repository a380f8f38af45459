package localapi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

func TestWhoami(t *testing.T) {
	h := newHouse(t)
	who, err := h.client(t).Whoami(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if who.PID != int32(os.Getpid()) || who.UID != uint32(os.Getuid()) || who.GID != uint32(os.Getgid()) {
		t.Errorf("%+v", who)
	}
	if who.Program != "everything" || !strings.HasSuffix(who.Rule.File, "00.toml") || who.Rule.User != fmt.Sprint(os.Getuid()) ||
		len(who.Entitlements) != len(programs.Entitlements) || !slices.Equal(who.Purposes, []string{"*"}) || who.Remedy != "" {
		t.Errorf("%+v", who)
	}
}

// A stranger is told about itself, how to become a program, and nothing else.
func TestWhoamiOfAStranger(t *testing.T) {
	rule := func(text string) string {
		return text + "\nentitlements = [\"decide\"]\npurposes = [\"secret_purpose\"]"
	}
	for why, test := range map[string]struct{ file, remedy string }{
		"no file":      {rule("name = \"other\"\nuser = \"54321\""), "No file in "},
		"another unit": {rule(fmt.Sprintf("name = \"near\"\nuser = \"%d\"\nunit = \"no-such-unit-here.service\"", os.Getuid())), `only in unit "no-such-unit-here.service"`},
	} {
		h := newHouse(t, test.file)
		who, err := h.client(t).Whoami(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if who.Program != "" || who.Rule != nil || who.UID != uint32(os.Getuid()) || !strings.Contains(who.Remedy, test.remedy) {
			t.Errorf("%s: %+v", why, who)
		}
		if strings.Contains(fmt.Sprintf("%+v", who), "secret_purpose") {
			t.Errorf("%s: a stranger is told what others may: %+v", why, who)
		}
		// What it is told to write is a file that would do.
		if _, err := programs.ParseProgram(who.File); err != nil {
			t.Errorf("%s: %v:\n%s", why, err, who.File)
		}
		_, err = h.client(t).Check(t.Context())
		if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "not_registered" {
			t.Errorf("%s: a stranger hears how the device is: %v", why, err)
		}
	}
}

func finding(t *testing.T, h *house, check string) client.Finding {
	t.Helper()
	all, err := h.client(t).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all.Findings, func(f client.Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no finding %s in %+v", check, all)
	}
	return all.Findings[i]
}

func TestCheck(t *testing.T) {
	h := newHouse(t)
	all, err := h.client(t).Check(t.Context())
	if err != nil || all.NeedsSomebody() {
		t.Fatalf("%+v, %v", all, err)
	}
	var names []string
	for _, f := range all.Findings {
		names = append(names, f.Check)
		if f.State != client.FindOK || f.Found == "" || f.Remedy != "" {
			t.Errorf("%+v", f)
		}
	}
	if want := "programs files clock broker token leases journal links"; strings.Join(names, " ") != want {
		t.Errorf("%q, want %q", names, want)
	}
	if f := finding(t, h, "token"); f.Figures["age_s"] != 180 || f.Figures["left_s"] != 420 {
		t.Errorf("%+v", f)
	}
	if f := finding(t, h, "leases"); f.Found != "C 60 min" || f.Figures["class_c_left_s"] != 3600 {
		t.Errorf("%+v", f)
	}
	h.change(func() { h.now = cardea.Now{} })
	if f := finding(t, h, "clock"); f.State != client.FindWaits || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
	if f := finding(t, h, "leases"); f.State != client.FindWaits || f.Figures["class_c_over_keys"] != 1 {
		t.Errorf("%+v", f)
	}
	h.bar(t, cardea.ReasonForked)
	if f := finding(t, h, "links"); f.State != client.FindAct || !strings.Contains(f.Remedy, "confirm this device") {
		t.Errorf("%+v", f)
	}
	h.bar(t, "")
	lose := func(loss cardea.LossID) {
		if err := h.db.Change(h.link, func(l *devicedb.Link) error { l.Loss = loss; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	lose(cardea.NewID[cardea.LossID]())
	if f := finding(t, h, "links"); f.State != client.FindAct || !strings.Contains(f.Remedy, "confirm this device") {
		t.Errorf("after a loss: %+v", f)
	}
	lose(cardea.LossID{})
	h.bar(t, cardea.ReasonUnknown)
	if f := finding(t, h, "links"); f.State != client.FindWaits {
		t.Errorf("%+v", f)
	}
}

func (h *house) bar(t *testing.T, why cardea.Reason) {
	t.Helper()
	if err := h.db.Change(h.link, func(l *devicedb.Link) error { l.Bar = why; return nil }); err != nil {
		t.Fatal(err)
	}
}

// Who may not end links learns nothing of them, and how it could.
func TestCheckHidesPeople(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"", os.Getuid()))
	for _, check := range []string{"token", "leases", "journal", "links"} {
		f := finding(t, h, check)
		if f.State != client.FindHidden || f.Figures != nil || !strings.Contains(f.Remedy, `add "admin"`) || !strings.Contains(f.Remedy, "00.toml") {
			t.Errorf("%+v", f)
		}
	}
	if f := finding(t, h, "broker"); f.State != client.FindOK {
		t.Errorf("%+v", f)
	}
}

// A file that was left out is a program that is refused: somebody has to know.
func TestCheckNamesFilesLeftOut(t *testing.T) {
	h := newHouse(t)
	dir := writeFiles(t, fmt.Sprintf(everything, os.Getuid()), "name = \"broken\"")
	registry, err := programs.LoadRegistry(dir)
	if err == nil {
		t.Fatal("no fault was found")
	}
	h.serve(t, registry)
	if f := finding(t, h, "programs"); f.State != client.FindAct || !strings.Contains(f.Found, "01.toml") || f.Figures["left_out_files"] != 1 {
		t.Errorf("%+v", f)
	}
}

// Nothing of a person and no secret is in what is found.
func TestCheckTellsNoSecrets(t *testing.T) {
	h := newHouse(t)
	if _, text := h.send(t, "GET", "/v1/check", ""); strings.Contains(text, "Ada") || strings.Contains(text, "sub-1") || strings.Contains(text, h.link.String()) {
		t.Errorf("%s", text)
	}
}

func TestSpoken(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := h.client(t)
	for lang, want := range map[string]string{
		"": "W as in Whiskey", "de": "W wie Wuppertal", "ko": "위스키 할 때 더블유", "de-CH": "W wie Wuppertal",
	} {
		got, err := c.Spoken(t.Context(), lang)
		if err != nil || len(got.Letters) != 8 || got.Letters[0] != want || !strings.HasPrefix(got.Text, want+", ") {
			t.Errorf("%q: %+v, %v", lang, got, err)
		}
	}
	_, err := c.Spoken(t.Context(), "tlh")
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "invalid_request" || !strings.Contains(refusal.Description, pairing.SpokenLanguages()[0]) {
		t.Errorf("%v", err)
	}
}

func TestVector(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	picture, err := h.client(t).QRVector(t.Context())
	if err != nil || !strings.HasPrefix(string(picture), "<svg ") {
		t.Errorf("%.60s, %v", picture, err)
	}
	if status, text := h.send(t, "GET", "/v1/pair/qr.svg?px=64", ""); status != 200 || !strings.Contains(text, `width="64"`) {
		t.Errorf("%d %.60s", status, text)
	}
}
