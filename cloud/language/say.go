package language

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	parsing "github.com/nicksnyder/go-i18n/v2/i18n/template"
)

// Text is a message as plain text, with what its placeholders stand for as pairs:
// Text("devices.title", "Name", name). "Count" also chooses the plural. A key
// that is not there is returned itself: a page with an odd word in it is better
// than none, and the tests know every key.
func (l *Language) Text(key string, pairs ...any) string {
	values, err := pairsOf(pairs, l.plain)
	if err != nil {
		return key
	}
	text, err := l.say(key, values)
	if err != nil {
		return key
	}
	return text
}

// HTML is a message for a page. Texts and names in it are escaped and isolated
// (<bdi>), instants become <time>, durations are said roughly, and markup of type
// template.HTML stays as it is. In an attribute html/template leaves the text of it. An error is a key or
// a placeholder that is not there.
func (l *Language) HTML(key string, pairs ...any) (template.HTML, error) {
	values, err := pairsOf(pairs, l.markup)
	if err != nil {
		return "", fmt.Errorf("message %q: %w", key, err)
	}
	text, err := l.say(key, values)
	return template.HTML(text), err // messages have no markup, see read; values were escaped
}

// Funcs are what templates call, parsed for each language apart:
//
//	{{t "devices.stops_by" "When" .Stops}}   a message; see HTML
//	{{pick "pair.yours" .Kind}}              the message "pair.yours.car" for a car
//	{{lang}}                                 the tag, for the attribute lang
//
// A text of the brand's is a [Phrase]: {{.Title.HTML}}.
func (l *Language) Funcs() template.FuncMap {
	return template.FuncMap{"t": l.HTML, "pick": l.pick, "lang": l.Tag}
}

// pick is a message of a family, for texts that differ by more than a word: what
// a "car" and a "speaker" are called has another gender in each language.
func (l *Language) pick(family string, member any, pairs ...any) (template.HTML, error) {
	return l.HTML(fmt.Sprintf("%s.%v", family, member), pairs...)
}

// say finds a message and fills it in.
func (l *Language) say(key string, values map[string]string) (string, error) {
	c := &i18n.LocalizeConfig{MessageID: key, TemplateData: values, TemplateParser: parser{}}
	if count, ok := values["Count"]; ok {
		c.PluralCount = count
	}
	text, err := l.localizer.Localize(c)
	if err != nil {
		return "", fmt.Errorf("message %q: %w", key, err)
	}
	return text, nil
}

// pairsOf reads names and values in turn.
func pairsOf(pairs []any, write func(any) (string, error)) (map[string]string, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("a name without a value")
	}
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name of a placeholder", pairs[i])
		}
		text, err := write(pairs[i+1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = text
	}
	return values, nil
}

func (l *Language) plain(v any) (string, error) {
	switch v := v.(type) {
	case time.Duration:
		return l.Roughly(v), nil
	case Moment:
		return v.String(), nil
	case *Moment:
		return v.String(), nil
	}
	return fmt.Sprint(v), nil
}

func (l *Language) markup(v any) (string, error) {
	switch v := v.(type) {
	case time.Duration:
		return l.Roughly(v), nil
	case template.HTML:
		return string(v), nil
	case Moment:
		return string(v.HTML()), nil
	case *Moment:
		if v == nil {
			return "", fmt.Errorf("no instant")
		}
		return string(v.HTML()), nil
	case Phrase:
		return string(v.within("bdi")), nil
	case int, int64, uint32, uint64:
		return fmt.Sprint(v), nil
	case string:
		return "<bdi>" + template.HTMLEscapeString(v) + "</bdi>", nil
	}
	return "", fmt.Errorf("a %T does not belong in a message", v)
}

// A parser reads messages: text with placeholders and nothing else, so that no
// message can compute.
type parser struct{}

func (parser) Cacheable() bool { return true }

func (parser) Parse(message, _, _ string) (parsing.ParsedTemplate, error) {
	var out parsed
	for rest := message; ; {
		text, placed, found := strings.Cut(rest, "{{")
		out.texts = append(out.texts, text)
		if !found {
			return &out, nil
		}
		name, after, found := strings.Cut(placed, "}}")
		name, dotted := strings.CutPrefix(name, ".")
		if !found || !dotted || name == "" {
			return nil, fmt.Errorf("%q has a placeholder that is not like {{.Name}}", message)
		}
		out.names, rest = append(out.names, name), after
	}
}

// parsed is a message: texts with a name between each two.
type parsed struct{ texts, names []string }

func (p *parsed) Execute(data any) (string, error) {
	values := data.(map[string]string)
	var b strings.Builder
	for i, text := range p.texts {
		b.WriteString(text)
		if i == len(p.names) {
			break
		}
		value, ok := values[p.names[i]]
		if !ok {
			return "", fmt.Errorf("{{.%s}} is not given", p.names[i])
		}
		b.WriteString(value)
	}
	return b.String(), nil
}
