package config

// contradictions finds the faults that lie between two keys. Each is reported
// where the first of them that was set stands; keys that are faults themselves
// have nothing to contradict.
func (l *loader) contradictions() {
	c := l.cfg
	if c.Server.TLSCert != "" && c.Server.TLSKey == "" {
		l.contradiction("needs server.tls_key, too", "server.tls_cert", "server.tls_key")
	}
	if c.Server.TLSKey != "" && c.Server.TLSCert == "" {
		l.contradiction("needs server.tls_cert, too", "server.tls_key", "server.tls_cert")
	}
	if c.Server.Listen == c.Server.AdminListen && !systemPort(c.Server.Listen) {
		l.contradiction("must differ from server.listen", "server.admin_listen", "server.listen")
	}
	if c.Server.MaxBodyBytes < c.Server.MaxBody {
		l.contradiction("must be at least server.max_body, "+c.Server.MaxBody.String()+", got "+c.Server.MaxBodyBytes.String(),
			"server.max_body_bytes", "server.max_body")
	}
	if c.Upstream.URL != "" && c.Upstream.Auth == "local" && c.Upstream.APIKey.Reveal() == "" {
		l.contradiction(`is required with auth "local"`, "upstream.api_key", "upstream.auth")
	}
	if c.Upstream.Writes == "spool" && c.Upstream.Auth != "local" {
		l.contradiction(`cannot be "spool" without auth "local": a caller's own credential would have to lie on disk`, "upstream.writes", "upstream.auth")
	}
	if (c.Upstream.Cert == "") != (c.Upstream.Key == "") {
		l.contradiction("need each other", "upstream.cert", "upstream.key")
	}
	if c.Experts.Mode == "catalog" && c.Experts.Catalog == "" {
		l.contradiction(`is required with mode "catalog"`, "experts.catalog", "experts.mode")
	}
	if c.Experts.Mode != "catalog" && c.Experts.Catalog != "" {
		l.contradiction(`is of no use without mode "catalog"`, "experts.catalog", "experts.mode")
	}
}

// contradiction reports a fault of the first of the paths, at the place where it
// was set, or else where another of them was.
func (l *loader) contradiction(message string, paths ...string) {
	var at Where
	for _, path := range paths {
		if l.bad[path] {
			return
		}
		if place, ok := l.set[path]; ok && at == (Where{}) {
			at = place
		}
	}
	l.fault(at, paths[0], "%s", message)
}
