package main

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Completion knows every verb of the usage text with every flag of it.
func TestCompletionKnowsAllVerbs(t *testing.T) {
	var inUsage []string
	for _, m := range regexp.MustCompile(`(?m)^  milepost \[?([a-z-]+)\]?(.*)$`).FindAllStringSubmatch(usage, -1) {
		inUsage = append(inUsage, m[1])
		i := slices.IndexFunc(completions, func(c struct{ verb, flags string }) bool { return c.verb == m[1] })
		if i < 0 {
			t.Errorf("no completion of %s", m[1])
			continue
		}
		words := strings.Fields(completions[i].flags)
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1) {
			if !slices.Contains(words, flag) {
				t.Errorf("completion of %s lacks %s", m[1], flag)
			}
		}
	}
	for _, c := range completions {
		if !slices.Contains(inUsage, c.verb) {
			t.Errorf("completion knows %s, the usage text does not", c.verb)
		}
	}
}

// complete returns what bash offers for a line.
func complete(t *testing.T, line string) string {
	t.Helper()
	words := strings.Split(line, " ")
	script := bashCompletion() + `
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _milepost; echo "${COMPREPLY[*]}"`
	out, err := exec.Command("bash", append([]string{"-c", script, "bash"}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBashCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"milepost ta":               "tail",
		"milepost ":                 verbs(),
		"milepost tail --f":         "--from",
		"milepost ingest x --":      "--dir --once --give-up --target --key",
		"milepost completion z":     "zsh",
		"milepost version -":        "",
		"milepost unknown --":       "",
		"milepost serve --data dir": "",
	} {
		if got := complete(t, line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// The other shells' scripts name every verb and flag.
func TestOtherCompletions(t *testing.T) {
	for name, script := range map[string]string{"zsh": zshCompletion(), "fish": fishCompletion()} {
		for _, c := range completions {
			for _, word := range append(strings.Fields(c.flags), c.verb) {
				if !strings.Contains(script, strings.TrimPrefix(word, "--")) {
					t.Errorf("%s lacks %s of %s", name, word, c.verb)
				}
			}
		}
	}
}
