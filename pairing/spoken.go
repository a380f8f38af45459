package pairing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotSpoken is returned for a language that codes are not spelled in.
var ErrNotSpoken = errors.New("codes are not spelled in this language")

// A tongue is a spelling alphabet: a word for each letter and digit, in the
// order of the characters in spelled.
type tongue struct {
	lang  string
	words []string
	// say puts a letter and its word together as its speakers do.
	say func(letter, word string) string
	// name is what a letter is called where its speakers do not write it.
	name map[string]string
}

const spelled = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// The alphabets: that of the International Civil Aviation Organization, German
// DIN 5009 of 2022, and the first as it is written in Korean.
var tongues = []tongue{
	{"en", strings.Fields(`Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar
		Papa Quebec Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu zero one two three four five six seven eight nine`),
		func(letter, word string) string { return letter + " as in " + word }, nil},
	{"de", strings.Fields(`Aachen Berlin Chemnitz Düsseldorf Essen Frankfurt Goslar Hamburg Ingelheim Jena Köln Leipzig München
		Nürnberg Offenbach Potsdam Quickborn Rostock Salzwedel Tübingen Unna Völklingen Wuppertal Xanten Ypsilon Zwickau
		null eins zwei drei vier fünf sechs sieben acht neun`),
		func(letter, word string) string { return letter + " wie " + word }, nil},
	{"ko", strings.Fields(`알파 브라보 찰리 델타 에코 폭스트롯 골프 호텔 인디아 줄리엣 킬로 리마 마이크 노벰버 오스카
		파파 퀘벡 로미오 시에라 탱고 유니폼 빅터 위스키 엑스레이 양키 줄루 영 일 이 삼 사 오 육 칠 팔 구`),
		func(letter, word string) string { return word + " 할 때 " + letter }, korean()},
}

// korean is what the letters are called: a voice that speaks Korean can not be
// trusted with Latin ones.
func korean() map[string]string {
	names := strings.Fields("에이 비 씨 디 이 에프 지 에이치 아이 제이 케이 엘 엠 엔 오 피 큐 알 에스 티 유 브이 더블유 엑스 와이 제트")
	of := make(map[string]string, len(names))
	for i, name := range names {
		of[spelled[i:i+1]] = name
	}
	return of
}

// SpokenLanguages are the languages codes are spelled in, the default first.
func SpokenLanguages() (all []string) {
	for _, t := range tongues {
		all = append(all, t.lang)
	}
	return all
}

// Speak spells a code for a voice: each letter with a word that begins with it,
// because "B", "D", "P" and "T" sound alike across a room. lang may have a
// region, as in "de-AT", which counts for nothing; "" is English. A server's
// code may have other characters than ours: letters and digits are spelled, the
// rest is left out, as people leave it out when they type.
func Speak(code, lang string) (letters []string, err error) {
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(lang, "_", "-")), "-")
	if base == "" {
		base = tongues[0].lang
	}
	i := slices.IndexFunc(tongues, func(t tongue) bool { return t.lang == base })
	if i < 0 {
		return nil, fmt.Errorf("%w: %.20q, only %q", ErrNotSpoken, lang, SpokenLanguages())
	}
	for _, r := range strings.ToUpper(code) {
		if said, ok := tongues[i].spell(r); ok {
			letters = append(letters, said)
		}
	}
	return letters, nil
}

func (t tongue) spell(r rune) (string, bool) {
	i := strings.IndexRune(spelled, r)
	switch {
	case i < 0:
		return "", false
	case r <= '9':
		return t.words[i], true
	}
	letter := string(r)
	if name, ok := t.name[letter]; ok {
		letter = name
	}
	return t.say(letter, t.words[i]), true
}
