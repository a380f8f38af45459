package tool

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

func completionCommand() command {
	return command{
		name: "completion", args: "SHELL", does: "what bash, zsh or fish needs to complete commands", local: true,
		shows: []string{
			"source <(cardea completion bash)", "source <(cardea completion zsh)",
			"cardea completion fish > ~/.config/fish/completions/cardea.fish",
		},
		setup: func(*flag.FlagSet) func(context.Context, *call) error {
			return func(_ context.Context, c *call) error {
				script, ok := map[string]func() string{"bash": bash, "zsh": zsh, "fish": fish}[c.args[0]]
				if !ok {
					return usagef("completion is there for bash, zsh and fish, not for %q", c.args[0])
				}
				fmt.Fprint(c.Out, script())
				return nil
			}
		},
	}
}

// values are what can stand behind a flag or a command; what is in angles names
// a question to the agent.
func values(c command, f flagLine) []string {
	switch {
	case f.name == "reach" && c.name == "prefs":
		return []string{"device", "everywhere"}
	case f.name == "reach":
		return []string{"device", "everywhere", "everyone"}
	case f.name == "owner":
		return []string{"you", "script"}
	case f.name == "kind":
		return []string{"speaker", "car"}
	case f.name == "fault":
		return []string{"deny"}
	}
	return nil
}

// words are the arguments a command is completed with: a list, or the shell
// command that prints one.
func words(c command) (list, ask string) {
	pick := func(command, field string) string {
		return fmt.Sprintf(`cardea %s --json 2>/dev/null | grep -o '"%s":"[^"]*' | cut -d'"' -f4`, command, field)
	}
	switch {
	case c.name == "completion":
		return "bash zsh fish", ""
	case strings.HasPrefix(c.args, "KEY"):
		return "", pick("consents", "key")
	case strings.HasPrefix(c.args, "[KEY]"):
		return "", pick("prefs", "key")
	case strings.HasPrefix(c.args, "[LINK]"):
		return "", pick("people", "link")
	}
	return "", ""
}

func bash() string {
	var b strings.Builder
	b.WriteString("_cardea() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n")
	b.WriteString("\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '" + names() + " help' -- \"$word\"))\n\t\treturn\n\tfi\n")
	b.WriteString("\tcase ${COMP_WORDS[1]}:$before in\n\thelp:*) words='" + names() + "' ;;\n\t*:--socket) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n")
	for _, c := range commands() {
		for _, f := range c.flags() {
			if v := values(c, f); v != nil {
				fmt.Fprintf(&b, "\t%s:--%s) words='%s' ;;\n", c.name, f.name, strings.Join(v, " "))
			} else if f.value == "FILE" || f.value == "FOLDER" {
				fmt.Fprintf(&b, "\t%s:--%s) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", c.name, f.name)
			}
		}
	}
	for _, c := range commands() {
		list, ask := words(c)
		if ask != "" {
			ask = "$(" + ask + ")"
		}
		fmt.Fprintf(&b, "\t%s:*) words=\"%s\" ;;\n", c.name, strings.TrimSpace(flagNames(c)+" "+list+ask))
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -F _cardea cardea\n")
	return b.String()
}

func zsh() string {
	var b strings.Builder
	b.WriteString("#compdef cardea\n_cardea() {\n\tlocal -a commands\n\tcommands=(\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "\t\t%s\n", quote(c.name+":"+c.does))
	}
	b.WriteString("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tlocal command=${words[2]}\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n\thelp) _describe command commands ;;\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "\t%s) _arguments", c.name)
		for _, f := range c.flags() {
			fmt.Fprintf(&b, " \\\n\t\t%s", quote(zshFlag(c, f)))
		}
		list, ask := words(c)
		switch {
		case ask != "":
			fmt.Fprintf(&b, " \\\n\t\t\"1:key:($(%s))\"", strings.ReplaceAll(ask, `"`, `\"`))
		case list != "":
			fmt.Fprintf(&b, " \\\n\t\t%s", quote("1:"+strings.ToLower(c.args)+":("+list+")"))
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("\tesac\n}\nif [ \"$funcstack[1]\" = _cardea ]; then _cardea \"$@\"; else compdef _cardea cardea; fi\n")
	return b.String()
}

func zshFlag(c command, f flagLine) string {
	text := "--" + f.name + "[" + strings.NewReplacer("[", "(", "]", ")").Replace(f.usage) + "]"
	switch v := values(c, f); {
	case v != nil:
		return text + ":" + strings.ToLower(f.value) + ":(" + strings.Join(v, " ") + ")"
	case f.value == "FILE" || f.value == "FOLDER" || f.value == "PATH":
		return text + ":" + strings.ToLower(f.value) + ":_files"
	case f.value != "":
		return text + ":" + strings.ToLower(f.value) + ":"
	}
	return text
}

func fish() string {
	var b strings.Builder
	b.WriteString("complete -c cardea -f\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "complete -c cardea -n __fish_use_subcommand -a %s -d %s\n", c.name, quote(c.does))
		on := quote("__fish_seen_subcommand_from " + c.name)
		for _, f := range c.flags() {
			fmt.Fprintf(&b, "complete -c cardea -n %s -l %s -d %s", on, f.name, quote(f.usage))
			switch v := values(c, f); {
			case v != nil:
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(v, " ")))
			case f.value != "":
				b.WriteString(" -r -F")
			}
			b.WriteByte('\n')
		}
		if list, ask := words(c); list+ask != "" {
			if ask != "" {
				ask = "(" + ask + ")"
			}
			fmt.Fprintf(&b, "complete -c cardea -n %s -a %s\n", on, quote(list+ask))
		}
	}
	return b.String()
}

func names() string {
	var all []string
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return strings.Join(all, " ")
}

func flagNames(c command) string {
	var all []string
	for _, f := range c.flags() {
		all = append(all, "--"+f.name)
	}
	return strings.Join(all, " ")
}

// quote makes one word of text, for any of the shells.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
