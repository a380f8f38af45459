package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/cardea-id/cardea/agent/client"
)

// socketEnv names the socket where no flag does.
const socketEnv = "CARDEA_SOCKET"

func socketPath(said string, env func(string) string) string {
	for _, path := range []string{said, env(socketEnv)} {
		if path != "" {
			return path
		}
	}
	return client.DefaultSocket
}

// explain makes of an error what there is to be done about it.
func explain(err error, path string) error {
	if refusal, ok := errors.AsType[*client.Error](err); ok {
		switch refusal.Code {
		case "not_registered":
			return errors.New("the agent does not know you: cardea whoami says how it could")
		case "guest":
			return errors.New("nobody known uses the device now: cardea pair links somebody, cardea people says who is here")
		}
		return errors.New(printable(refusal.Description))
	}
	if !errors.Is(err, client.ErrNoAgent) {
		return err
	}
	why := "it broke off in the middle: look at its log"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = fmt.Sprintf("there is no socket at %s: start the agent, or name its socket with --socket", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		why = fmt.Sprintf("nobody listens at %s any more: start the agent", path)
	case errors.Is(err, fs.ErrPermission):
		why = fmt.Sprintf("you may not open %s: %s", path, whoMay(path))
	}
	return fmt.Errorf("%w: %s", client.ErrNoAgent, why)
}

// whoMay names the group that may open the socket.
func whoMay(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "its folder is closed to you; ask as root"
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("its group %s may; join that, or ask as root", groupName(st.Gid))
}
