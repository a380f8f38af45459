package tool

// A part is the commands that belong together.
type part struct {
	title    string
	commands []command
}

// parts is the table: the order is that of help.
func parts() []part {
	return []part{
		{"See", []command{statusCommand(), peopleCommand(), consentsCommand(), noticeCommand(), prefsCommand(), watchCommand()}},
		{"Decide", []command{allowCommand(), withdrawCommand()}},
		{"Set up", []command{pairCommand(), labelCommand(), whoamiCommand(), checkCommand(), returnCommand(), demoCommand(), completionCommand()}},
	}
}

func commands() (all []command) {
	for _, p := range parts() {
		all = append(all, p.commands...)
	}
	return all
}
