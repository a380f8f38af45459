package cloud

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A forwarding knows the proxies that stand before the cloud.
type forwarding []netip.Prefix

// forwarding reads Proxies: addresses, or blocks of them.
func (c Config) forwarding() (forwarding, error) {
	var f forwarding
	for _, text := range c.Proxies {
		p, err := netip.ParsePrefix(text)
		if a, notOne := netip.ParseAddr(text); notOne == nil {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("proxies: %q is no address such as \"127.0.0.1\" or \"10.0.0.0/8\"", text)
		}
		f = append(f, p.Masked())
	}
	return f, nil
}

func (f forwarding) has(a netip.Addr) bool {
	return slices.ContainsFunc(f, func(p netip.Prefix) bool { return p.Contains(a) })
}

// address is where a request comes from: the connection's other end, or, where
// that is a proxy of ours, the last that X-Forwarded-For names which is none.
// What stands before it is the sender's to invent. Zero if a proxy of ours does
// not say.
func (f forwarding) address(r *http.Request) netip.Addr {
	end, _ := netip.ParseAddrPort(r.RemoteAddr)
	from := end.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for f.has(from) && len(hops) > 0 {
		last, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
		if err != nil {
			return netip.Addr{}
		}
		from, hops = last.Unmap().WithZone(""), hops[:len(hops)-1]
	}
	return from
}
