package demo

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// listen obeys single keys until q, the end of the input, or of ctx.
func (d *demo) listen(ctx context.Context) error {
	keys := make(chan byte)
	go func() {
		defer close(keys)
		var b [1]byte
		for {
			if _, err := d.Keys.Read(b[:]); err != nil {
				return
			}
			select {
			case keys <- b[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case key, ok := <-keys:
			if !ok || key == 'q' || key == 3 { // 3: Ctrl-C in raw mode
				return nil
			}
			d.press(ctx, key)
		}
	}
}

func (d *demo) press(ctx context.Context, key byte) {
	switch key {
	case 'n':
		d.networkOff = !d.networkOff
		d.agent.Network(!d.networkOff)
		word := "on"
		if d.networkOff {
			word = "off"
		}
		d.told.mark("network "+word, "")
	case 'w':
		d.withdraw(ctx)
	}
}

// withdraw stops, on the device, the first thing that is given.
func (d *demo) withdraw(ctx context.Context) {
	consents, err := d.agent.Consents(ctx)
	if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Code == string(cardea.ReasonGuest) {
		d.told.mark("nothing to withdraw", "scan the code or open the link first")
		return
	}
	if err != nil {
		d.told.mark("not withdrawn", err.Error())
		return
	}
	for _, c := range consents.Consents {
		if c.Class != cardea.ClassN && (c.Verdict == cardea.Allow || c.Verdict == cardea.AllowLocal) {
			d.stop(ctx, c.Key)
			return
		}
	}
	d.told.mark("nothing to withdraw", "allow something in the portal first")
}

func (d *demo) stop(ctx context.Context, key cardea.Key) {
	if _, err := d.agent.Withdraw(ctx, client.Withdrawal{Key: key}); err != nil {
		d.told.mark("not withdrawn", err.Error())
		return
	}
	d.told.mark("withdrawn on the device", string(key))
}

// lanAddress is this machine's address on its network.
func lanAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("find this machine's address: %w", err)
	}
	return private(addresses)
}

// private picks the first address that others on a private network reach.
func private(addresses []net.Addr) (string, error) {
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsPrivate() && n.IP.To4() != nil {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address on a private network: connect it, or run without -lan")
}
