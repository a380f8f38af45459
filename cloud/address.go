package cloud

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The headers by which proxies tell where a request comes from.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwarded      = "Forwarded" // RFC 7239
)

// A forwarding knows the proxies that stand before the cloud, and how they speak.
type forwarding struct {
	proxies []netip.Prefix
	header  string
}

// forwarding reads TrustedProxies: addresses, or blocks of them.
func (c Config) forwarding() (forwarding, error) {
	f := forwarding{header: http.CanonicalHeaderKey(c.ForwardedHeader)}
	if f.header != forwardedFor && f.header != forwarded {
		return f, fmt.Errorf("forwarded_header: %q is neither %q nor %q", c.ForwardedHeader, forwardedFor, forwarded)
	}
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if a, notOne := netip.ParseAddr(text); notOne == nil {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil {
			return f, fmt.Errorf("trusted_proxies: %q is no address such as \"127.0.0.1\" or \"10.0.0.0/8\"", text)
		}
		f.proxies = append(f.proxies, p.Masked())
	}
	return f, nil
}

func (f forwarding) has(a netip.Addr) bool {
	return slices.ContainsFunc(f.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// address is where a request comes from; zero if a proxy of ours does not say.
func (f forwarding) address(r *http.Request) netip.Addr {
	from, _ := f.origin(r)
	return from
}

// origin is where a request comes from and by which scheme, if that is known: the
// connection's other end, or, where that is a proxy of ours, the last that the
// header names which is none. What stands before it is the sender's to invent.
func (f forwarding) origin(r *http.Request) (from netip.Addr, scheme string) {
	if r.TLS != nil {
		scheme = "https"
	}
	end, _ := netip.ParseAddrPort(r.RemoteAddr)
	from = end.Addr().Unmap().WithZone("")
	if !f.has(from) {
		return from, scheme
	}
	hops := f.hops(r.Header)
	for f.has(from) && len(hops) > 0 {
		last := hops[len(hops)-1]
		from, scheme, hops = last.from, last.scheme, hops[:len(hops)-1]
	}
	return from, scheme
}

// A hop is what one proxy tells of who came to it: zero and empty if it does not.
type hop struct {
	from   netip.Addr
	scheme string
}

// hops are those the header tells of, the last proxy's word last; one that says
// nothing if there is no header.
func (f forwarding) hops(h http.Header) (hops []hop) {
	text := strings.Join(h.Values(f.header), ",")
	if f.header == forwarded {
		for _, element := range split(text, ',') {
			hops = append(hops, parseElement(element))
		}
		if hops == nil {
			hops = []hop{{}}
		}
		return hops
	}
	// There is one scheme, that of the first connection, however many proxies.
	protos := strings.Split(strings.Join(h.Values(forwardedProto), ","), ",")
	scheme := schemeOf(protos[len(protos)-1])
	for word := range strings.SplitSeq(text, ",") {
		hops = append(hops, hop{addressOf(strings.TrimSpace(word)), scheme})
	}
	return hops
}

// parseElement reads one forwarded-element (RFC 7239, Section 4).
func parseElement(text string) (h hop) {
	for _, pair := range split(text, ';') {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		switch strings.ToLower(name) {
		case "for":
			h.from = addressOf(value)
		case "proto":
			h.scheme = schemeOf(value)
		}
	}
	return h
}

// split splits at a separator that stands outside quotes (RFC 9110, Section
// 5.6.4). Where a quote is not closed nothing counts: a sender could have opened it
// to swallow what the proxy adds.
func split(text string, at byte) (parts []string) {
	quoted, begin := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case quoted && text[i] == '\\':
			i++
		case !quoted && text[i] == at:
			parts, begin = append(parts, text[begin:i]), i+1
		}
	}
	if quoted {
		return nil
	}
	return append(parts, text[begin:])
}

// addressOf reads an address, with or without a port; zero if it is none, such
// as "unknown" or a hidden "_name".
func addressOf(text string) netip.Addr {
	if end, err := netip.ParseAddrPort(text); err == nil {
		return end.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// schemeOf is http or https, or nothing.
func schemeOf(text string) string {
	s := strings.ToLower(strings.TrimSpace(text))
	if s != "http" && s != "https" {
		return ""
	}
	return s
}
