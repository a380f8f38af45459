package language

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	tags "golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/cardea-id/cardea/internal/config"
)

//go:embed messages
var messageFiles embed.FS

// offered are the languages there are, the first for who speaks none of them.
var offered = []tags.Tag{tags.English, tags.German, tags.Korean, tags.Thai, tags.Japanese}

// A Language is one in which the cloud speaks. It is safe for concurrent use.
type Language struct {
	tag       tags.Tag
	localizer *i18n.Localizer
	regions   display.Namer
	habit     habit
}

var all = func() []*Language {
	languages, err := load(messageFiles)
	if err != nil {
		panic(err) // they are part of the program, and tests read each
	}
	return languages
}()

// All lists the languages, the first of which is spoken to who asks for none of
// them.
func All() []*Language { return all }

// Tag is the language as BCP 47 writes it, for the attribute lang: "de".
func (l *Language) Tag() string { return l.tag.String() }

// Name is the language as those who speak it call it: "Deutsch".
func (l *Language) Name() string { return NameOf(l.Tag()) }

// NameOf is any language's name in itself, or its tag where that is not known.
func NameOf(tag string) string {
	t, err := tags.Parse(tag)
	if err != nil {
		return tag
	}
	if name := display.Self.Name(t); name != "" {
		return name
	}
	return tag
}

// Of is the language with a tag of ours, exactly.
func Of(tag string) (l *Language, ok bool) {
	for _, l := range all {
		if l.Tag() == tag {
			return l, true
		}
	}
	return all[0], false
}

var matcher = tags.NewMatcher(offered)

// maxAsked bounds an Accept-Language, which comes from outside.
const maxAsked = 1024

// For is the language to speak to who chose one, which may be empty, and whose
// browser sent an Accept-Language (RFC 9110, Section 12.5.4).
func For(chosen, accept string) *Language {
	if l, ok := Of(chosen); ok {
		return l
	}
	if len(accept) > maxAsked {
		return all[0]
	}
	asked, _, err := tags.ParseAcceptLanguage(accept)
	if err != nil {
		return all[0]
	}
	_, i, confidence := matcher.Match(asked...)
	if confidence == tags.No {
		return all[0]
	}
	return all[i]
}

// load reads every file of messages: messages/ROOM/LANGUAGE.toml.
func load(files fs.FS) ([]*Language, error) {
	bundle := i18n.NewBundle(offered[0])
	paths, err := fs.Glob(files, "messages/*/*.toml")
	if err != nil {
		return nil, err
	}
	for _, file := range paths {
		tag, messages, err := read(files, file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if err := bundle.AddMessages(tag, messages...); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	var languages []*Language
	for _, tag := range offered {
		languages = append(languages, &Language{
			tag: tag, localizer: i18n.NewLocalizer(bundle, tag.String()), regions: display.Regions(tag), habit: habits[tag.String()],
		})
	}
	return languages, nil
}

// read is one file. Its folder's name stands before each of its keys.
func read(files fs.FS, file string) (tags.Tag, []*i18n.Message, error) {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return tags.Tag{}, nil, err
	}
	parsed, err := i18n.ParseMessageFileBytes(text, path.Base(file), map[string]i18n.UnmarshalFunc{"toml": func(text []byte, v any) error {
		tree, err := config.Tree(string(text))
		*v.(*any) = tree
		return err
	}})
	if err != nil {
		return tags.Tag{}, nil, err
	}
	for _, m := range parsed.Messages {
		m.ID = path.Base(path.Dir(file)) + "." + m.ID
		for _, form := range []string{m.Zero, m.One, m.Two, m.Few, m.Many, m.Other} {
			if strings.ContainsAny(form, "<>&") {
				return tags.Tag{}, nil, fmt.Errorf("%s: a message is text and no markup, so it has none of < > &", m.ID)
			}
		}
	}
	return parsed.Tag, parsed.Messages, nil
}
