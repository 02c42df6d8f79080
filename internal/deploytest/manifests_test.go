package deploytest

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"milepost/internal/config"
)

// container is what a test reads of one in a manifest.
type container struct {
	RestartPolicy string `yaml:"restartPolicy"`
	Env           []struct{ Name, Value string }
}

// manifest is what a test reads of one.
type manifest struct {
	Kind string
	Data map[string]string
	Spec struct {
		Template struct {
			Spec struct {
				EnableServiceLinks *bool       `yaml:"enableServiceLinks"`
				InitContainers     []container `yaml:"initContainers"`
				Containers         []container
			}
		}
	}
}

func manifests(t *testing.T, file string) (all []manifest) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, "deploy/kubernetes", file)))
	for {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// environment is that of a container, with something for what comes from a
// secret.
func (c container) environment() (env []string) {
	for _, e := range c.Env {
		if e.Value == "" {
			e.Value = "a-secret-from-elsewhere"
		}
		env = append(env, e.Name+"="+e.Value)
	}
	return env
}

// The configuration of a StatefulSet, in its ConfigMap and its environment, is
// one that the server takes.
func TestStatefulSetHasAValidConfiguration(t *testing.T) {
	var text string
	var server container
	for _, m := range manifests(t, "statefulset.yaml") {
		switch m.Kind {
		case "ConfigMap":
			text = m.Data["milepost.toml"]
		case "StatefulSet":
			server = m.Spec.Template.Spec.Containers[0]
			if links := m.Spec.Template.Spec.EnableServiceLinks; links == nil || *links {
				t.Error("the variables of a service called milepost would be taken for configuration")
			}
		}
	}
	file := filepath.Join(t.TempDir(), "milepost.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, server.environment(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Auth.Keys) != 1 || cfg.Server.AdminListen != ":9090" {
		t.Errorf("got %d keys, admin listener %q", len(cfg.Auth.Keys), cfg.Server.AdminListen)
	}
}

// The sidecar is a native one, with a configuration that the server takes and
// an admin listener that the runtime cannot reach.
func TestSidecarHasAValidConfiguration(t *testing.T) {
	all := manifests(t, "sidecar.yaml")
	if len(all) != 1 || len(all[0].Spec.Template.Spec.InitContainers) != 1 {
		t.Fatal("want one manifest with one init container")
	}
	server := all[0].Spec.Template.Spec.InitContainers[0]
	if server.RestartPolicy != "Always" {
		t.Errorf("restartPolicy %q", server.RestartPolicy)
	}
	cfg, err := config.Load("", server.environment(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Upstream.URL == "" || !strings.HasPrefix(cfg.Server.AdminListen, "unix:") {
		t.Errorf("upstream %q, admin listener %q", cfg.Upstream.URL, cfg.Server.AdminListen)
	}
}

// The variables that the image sets are ones that the server knows.
func TestImageHasAValidEnvironment(t *testing.T) {
	env := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:ENV|   ) +(MILEPOST_[A-Z_]+=\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		env[m[1]] = true
	}
	if len(env) == 0 {
		t.Fatal("no variables found")
	}
	if _, err := config.Load("", slices.Collect(maps.Keys(env)), nil); err != nil {
		t.Error(err)
	}
}
