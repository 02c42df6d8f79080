package config

import (
	"maps"
	"slices"
	"strings"
)

// prefix begins the name of every variable of the configuration.
const prefix = "MILEPOST_"

// apiKeyVariable holds the secret of the default key.
const apiKeyVariable = prefix + "API_KEY"

// variables reads the form of os.Environ. The last of two with one name holds.
func variables(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, text, ok := strings.Cut(e, "="); ok {
			env[name] = text
		}
	}
	return env
}

// environment applies the variables. One that is set to nothing is a value like
// any other: MILEPOST_SERVER_ADMIN_LISTEN= turns the admin listener off.
func (l *loader) environment() {
	byVariable := make(map[string]field, len(fields))
	for _, f := range fields {
		if !f.isTables() {
			byVariable[f.variable] = f
		}
	}
	services := serviceNames(l.env)
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		at := Where{Name: name}
		f, known := byVariable[name]
		switch {
		case !strings.HasPrefix(name, prefix):
		case known:
			l.text(at, f, l.env[name])
		case name == apiKeyVariable:
			l.apiKey(at, l.env[name])
		case l.mentioned[name] || ofService(services, name):
		case l.unreadable: // the file may well have named it in a secret_env
		default:
			l.fault(at, "", "unknown variable")
		}
	}
}

func (l *loader) apiKey(at Where, secret string) {
	if err := checkSecret(secret); err != nil {
		l.fault(at, "", "%v", err)
		return
	}
	l.cfg.APIKey = Secret(secret)
}

// serviceNames finds the services whose addresses Kubernetes has put into the
// environment: one called "milepost" gives every container beside it
// MILEPOST_SERVICE_HOST, MILEPOST_PORT_8080_TCP and more, which nobody wrote.
// They are told by the two variables that each service has.
func serviceNames(env map[string]string) []string {
	var names []string
	for variable := range env {
		name, ok := strings.CutSuffix(variable, "_SERVICE_HOST")
		if _, port := env[name+"_SERVICE_PORT"]; ok && port {
			names = append(names, name)
		}
	}
	return names
}

func ofService(services []string, variable string) bool {
	return slices.ContainsFunc(services, func(name string) bool {
		rest, ok := strings.CutPrefix(variable, name+"_")
		return ok && (strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "PORT"))
	})
}

// splitList reads a list in one variable: its items, with commas between them.
func splitList(at Where, path, text string) []item {
	items := []item{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			items = append(items, item{at, path, part})
		}
	}
	return items
}
