package main

import (
	"errors"
	"fmt"
	"strings"
)

// completions are the flags of each verb.
var completions = []struct{ verb, flags string }{
	{"serve", "--config --listen --admin-listen --data --upstream"},
	{"check-config", "--config"},
	{"keys", "new"},
	{"backup", "--config --data --admin-listen"},
	{"delete", "--config --data --admin-listen"},
	{"spool", "ls retry drop --all --json --config --data --admin-listen"},
	{"health", "--config --admin-listen"},
	{"jobs", "--status --sort --order --take --skip --json --target --key"},
	{"tail", "--from --json --target --key"},
	{"get", "--target --key"},
	{"export", "--target --key"},
	{"import", "--organization --application --config --data --admin-listen"},
	{"ingest", "--dir --once --give-up --target --key"},
	{"completion", "bash zsh fish"},
	{"version", ""},
}

// completion prints the completion script of a shell.
func completion(args []string) int {
	scripts := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	if len(args) != 1 || scripts[args[0]] == nil {
		return wrongUsage("completion", errors.New("completion takes one argument: bash, zsh or fish"))
	}
	fmt.Print(scripts[args[0]]())
	return exitOK
}

// verbs returns the verbs with a space between them.
func verbs() string {
	var names []string
	for _, c := range completions {
		names = append(names, c.verb)
	}
	return strings.Join(names, " ")
}

// cases renders a case of a shell for each verb.
func cases(format string) string {
	var b strings.Builder
	for _, c := range completions {
		fmt.Fprintf(&b, format, c.verb, c.flags)
	}
	return b.String()
}

// bashCompletion falls back to the names of files.
func bashCompletion() string {
	return `# milepost completion bash >/etc/bash_completion.d/milepost
_milepost() {
    local word=${COMP_WORDS[COMP_CWORD]} words
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="` + verbs() + `"
    else
        case ${COMP_WORDS[1]} in
` + cases("            %s) words=\"%s\" ;;\n") + `        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _milepost milepost
`
}

func zshCompletion() string {
	return `#compdef milepost
# milepost completion zsh >"${fpath[1]}/_milepost"
_milepost() {
    local -a words_of
    if (( CURRENT == 2 )); then
        words_of=(` + verbs() + `)
    else
        case ${words[2]} in
` + cases("            %s) words_of=(%s) ;;\n") + `        esac
    fi
    compadd -- $words_of
    [[ $PREFIX == -* ]] || (( CURRENT == 2 )) || _files
}
compdef _milepost milepost
`
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# milepost completion fish >~/.config/fish/completions/milepost.fish\n")
	fmt.Fprintf(&b, "complete -c milepost -n __fish_use_subcommand -f -a '%s'\n", verbs())
	for _, c := range completions {
		for word := range strings.FieldsSeq(c.flags) {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(&b, "complete -c milepost -n '__fish_seen_subcommand_from %s' -l %s\n", c.verb, flag)
			} else {
				fmt.Fprintf(&b, "complete -c milepost -n '__fish_seen_subcommand_from %s' -f -a %s\n", c.verb, word)
			}
		}
	}
	return b.String()
}
