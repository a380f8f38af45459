package language

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// forms are the plurals each language has by CLDR for whole numbers.
var forms = map[string][]string{"en": {"one", "other"}, "de": {"one", "other"}, "ko": {"other"}, "th": {"other"}, "ja": {"other"}}

// written is every message by language and key, with its forms by name.
func written(t *testing.T) map[string]map[string]map[string]string {
	t.Helper()
	paths, err := messageFiles.ReadDir("messages")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]map[string]string{}
	for _, room := range paths {
		for _, tag := range offered {
			file := path.Join("messages", room.Name(), tag.String()+".toml")
			_, messages, err := read(messageFiles, file)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for _, m := range messages {
				if all[tag.String()] == nil {
					all[tag.String()] = map[string]map[string]string{}
				}
				all[tag.String()][m.ID] = formsOf(m)
			}
		}
	}
	return all
}

func formsOf(m *i18n.Message) map[string]string {
	out := map[string]string{}
	for name, text := range map[string]string{"zero": m.Zero, "one": m.One, "two": m.Two, "few": m.Few, "many": m.Many, "other": m.Other} {
		if text != "" {
			out[name] = text
		}
	}
	return out
}

// placeholders are the names in a text, each once and in order.
func placeholders(t *testing.T, text string) []string {
	t.Helper()
	p, err := parser{}.Parse(text, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Compact(slices.Sorted(slices.Values(p.(*parsed).names)))
}

func TestEveryLanguageHasEveryMessage(t *testing.T) {
	all := written(t)
	english := all["en"]
	for tag, messages := range all {
		for key := range messages {
			if english[key] == nil {
				t.Errorf("%s has %s, which English has not", tag, key)
			}
		}
		for key, model := range english {
			m := messages[key]
			if m == nil {
				t.Errorf("%s has no %s", tag, key)
				continue
			}
			if got, want := placeholders(t, m["other"]), placeholders(t, model["other"]); !slices.Equal(got, want) {
				t.Errorf("%s: %s has placeholders %v, English %v", tag, key, got, want)
			}
		}
	}
	t.Attr("messages", fmt.Sprintf("%d in each of %d languages", len(english), len(all)))
}

// A message is plural in all languages or in none, with the forms that each
// language has and no others. Only what is said of one thing may leave its
// number out.
func TestPlurals(t *testing.T) {
	all := written(t)
	for tag, messages := range all {
		for key, m := range messages {
			if placed := placeholders(t, m["other"]); !slices.Contains(placed, "Count") {
				if len(m) > 1 {
					t.Errorf("%s: %s has plurals and no number", tag, key)
				}
				continue
			}
			for _, form := range forms[tag] {
				if m[form] == "" {
					t.Errorf("%s: %s has no form %q", tag, key, form)
				}
			}
			if len(m) != len(forms[tag]) {
				t.Errorf("%s: %s has forms its language has not: %v", tag, key, m)
			}
			for _, name := range placeholders(t, m["one"]) {
				if !slices.Contains(placeholders(t, m["other"]), name) {
					t.Errorf("%s: %s names %s of one thing alone", tag, key, name)
				}
			}
		}
	}
}

// The words are plain: no markup, no exclamations, no space at the ends.
func TestWordsArePlain(t *testing.T) {
	for tag, messages := range written(t) {
		for key, m := range messages {
			for _, text := range m {
				if strings.ContainsAny(text, "!！") {
					t.Errorf("%s: %s shouts: %s", tag, key, text)
				}
				if strings.TrimSpace(text) != text && key != "page.comma" {
					t.Errorf("%s: %s begins or ends with space: %q", tag, key, text)
				}
				if strings.Contains(text, "'") || strings.Contains(text, "  ") {
					t.Errorf("%s: %s has a typewriter's apostrophe or two spaces: %s", tag, key, text)
				}
			}
		}
	}
}

// oneVoice is what a language does not say here: another word for a thing that has
// one, another manner of speaking, or the signs of another script. The words it
// has are in docs/languages.md.
var oneVoice = map[string]map[string]string{
	"de": {
		`\b[dD](u|ich|ir|ein|eine|einen)\b`: "Sie", `[Gg]etrennt[.?]|\b[Tt]rennen\b`: "entkoppeln",
		`[Uu]nterschr(ift|ieben)`: "Signatur, signiert", `["'”]`: "„…“",
	},
	"ko": {
		`니다|습니까|십시오`: "해요체", `고객님`: "나, 내", `거부`: "거절", `영수증`: "확인서", `끊`: "연결 해제", `[，。！？：（）]`: "half-width signs",
	},
	"th": {
		`ครับ|ค่ะ|คะ( |$)`: "no particles", `ตัวเลือก`: "การตัดสินใจ", `ใบรับ`: "ใบยืนยัน", `ยกเลิกการเชื่อม`: "ยกเลิกการจับคู่", `[?。，]`: "no such signs",
	},
	"ja": {
		`機器|端末`: "デバイス", `お客様`: "あなた", `ブラウザ([^ー]|$)`: "ブラウザー", `サインイン`: "ログイン", `写し`: "コピー",
		`(です|ます)か(。|$)`: "…か？", `[\p{Hiragana}\p{Katakana}\p{Han}] ?[,.!?:;()]`: "full-width signs",
	},
}

func TestOneVoice(t *testing.T) {
	all := written(t)
	for tag, unwanted := range oneVoice {
		for pattern, instead := range unwanted {
			unwanted := regexp.MustCompile(pattern)
			for key, m := range all[tag] {
				if found := unwanted.FindString(m["other"]); found != "" {
					t.Errorf("%s: %s says %q, here it is %s: %s", tag, key, found, instead, m["other"])
				}
			}
		}
	}
}

func TestBadMessageFiles(t *testing.T) {
	for text, why := range map[string]string{
		"a = \"<b>\"":        "markup",
		"a = \"x\"\na = 'y'": "a key twice",
		"a =":                "no value",
	} {
		if _, err := load(fstest.MapFS{"messages/room/en.toml": {Data: []byte(text)}}); err == nil {
			t.Errorf("%s: loaded", why)
		}
	}
	for _, text := range []string{"{{Name}}", "{{.Name", "{{.}}", "{{}}"} {
		if _, err := (parser{}).Parse(text, "", ""); err == nil {
			t.Errorf("%s was taken for a placeholder", text)
		}
	}
}
