package pairing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/pairing"
)

func TestSpeak(t *testing.T) {
	for _, test := range []struct{ code, lang, want string }{
		{"WDJB-MJHT", "", "W as in Whiskey, D as in Delta, J as in Juliett, B as in Bravo, M as in Mike, J as in Juliett, H as in Hotel, T as in Tango"},
		{"WDJB-MJHT", "de", "W wie Wuppertal, D wie Düsseldorf, J wie Jena, B wie Berlin, M wie München, J wie Jena, H wie Hamburg, T wie Tübingen"},
		{"WDJB", "ko-KR", "위스키 할 때 더블유, 델타 할 때 디, 줄리엣 할 때 제이, 브라보 할 때 비"},
		{"wd jb", "EN_gb", "W as in Whiskey, D as in Delta, J as in Juliett, B as in Bravo"},
		{"0A7", "de", "null, A wie Aachen, sieben"}, // another server's code
		{"09", "ko", "영, 구"},
		{"É·漢\xff", "en", ""},
	} {
		letters, err := pairing.Speak(test.code, test.lang)
		if got := strings.Join(letters, ", "); got != test.want || err != nil {
			t.Errorf("%q in %q: %q, %v", test.code, test.lang, got, err)
		}
	}
	for _, lang := range []string{"fr", "x", "english", "-"} {
		if _, err := pairing.Speak("WDJB", lang); lang != "-" && !errors.Is(err, pairing.ErrNotSpoken) {
			t.Errorf("%q: %v", lang, err)
		}
	}
}

// No two characters may sound alike: each has a word of its own, which where
// letters are Latin begins with it, and a voice of the language can say it.
func TestAlphabets(t *testing.T) {
	const all = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for _, lang := range pairing.SpokenLanguages() {
		seen := map[string]rune{}
		for _, r := range all {
			said, err := pairing.Speak(string(r), lang)
			if err != nil || len(said) != 1 {
				t.Fatalf("%s: %q: %q, %v", lang, r, said, err)
			}
			if other, ok := seen[said[0]]; ok {
				t.Errorf("%s: %q and %q are both %q", lang, r, other, said[0])
			}
			seen[said[0]] = r
			switch {
			case lang == "ko":
				if strings.ContainsFunc(said[0], func(r rune) bool { return unicode.Is(unicode.Latin, r) }) {
					t.Errorf("a Korean voice can not say %q", said[0])
				}
			case r >= 'A':
				word := said[0][strings.LastIndexByte(said[0], ' ')+1:]
				if first, _ := utf8.DecodeRuneInString(word); first != r {
					t.Errorf("%s: %q is spelled %q", lang, r, said[0])
				}
			}
		}
	}
}

// Whatever is said can be understood: what was spelled is the code again.
func TestSpokenIsHeard(t *testing.T) {
	for range 100 {
		code := pairing.NewUserCode()
		letters, err := pairing.Speak(string(code), "en")
		if err != nil {
			t.Fatal(err)
		}
		var heard strings.Builder
		for _, l := range letters {
			heard.WriteString(l[:1])
		}
		if got, err := pairing.ParseUserCode(heard.String()); got != code || err != nil {
			t.Errorf("%s was heard as %s, %v", code, got, err)
		}
	}
}

func ExampleSpeak() {
	letters, _ := pairing.Speak("WDJB-MJHT", "de")
	fmt.Println(strings.Join(letters[:3], ", "))
	// Output: W wie Wuppertal, D wie Düsseldorf, J wie Jena
}
