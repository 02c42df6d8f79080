package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// rules are those of a key's text that types, bounds and enumerations do not
// tell. Of a list, they hold each item.
var rules = map[string]func(string) error{
	"server.listen":            address,
	"server.admin_listen":      optionalAddress,
	"server.cors_origins":      origin,
	"store.dir":                notEmpty,
	"prices.currency":          currency,
	"upstream.url":             upstreamURL,
	"upstream.trusted_proxies": network,
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// upstreamURL wants the base of an API: what follows is put behind it.
func upstreamURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("must be http://host or https://host, with a port if need be and nothing behind it, got %s", quote(s))
	}
	return nil
}

// network wants an address prefix, such as 10.0.0.0/8.
func network(s string) error {
	if _, err := netip.ParsePrefix(s); err != nil {
		return fmt.Errorf("must be a network such as 10.0.0.0/8, got %s", quote(s))
	}
	return nil
}

func optionalAddress(s string) error {
	if s == "" {
		return nil
	}
	return address(s)
}

// address wants host:port with a port in digits (0 lets the system choose one),
// or unix:/path.
func address(s string) error {
	wrong := fmt.Errorf(`must be host:port or unix:/path, got %s`, quote(s))
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
			return wrong
		}
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /\t") {
		return wrong
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("must have a port from 0 to 65535, got %s", quote(s))
	}
	return nil
}

// origin wants what a browser sends as Origin (RFC 6454, section 7), since it is
// compared byte for byte, or "*".
func origin(s string) error {
	if s == "*" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) {
		return fmt.Errorf(`must be "*" or an origin such as "https://dash.example.com", in lower case and without a path, got %s`, quote(s))
	}
	return nil
}

// systemPort says whether an address leaves its port to the system, so that two
// listeners with it do not collide.
func systemPort(s string) bool { return strings.HasSuffix(s, ":0") }
