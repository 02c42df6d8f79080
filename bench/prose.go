package main

import (
	"math/rand/v2"
	"strings"
)

// vocabulary gives text that compresses about as well as a real conversation.
var vocabulary = strings.Fields(`
	the a of to and in is it that for was on are with as be at this have from or by not but what all were when we
	there can an your which their if will each about how up out them then she many some so these would other into
	has more her two like him see time could no make than first been its who now people my made over did down only
	way find use may water long little very after words called just where most know get through back much before
	go good new write our used me man too any day same right look think also around another came come work three
	word must because does part even place well such here take why help put years different away again off went
	old number great tell men say small every found still between name should home big give air line set own under
	read last never us left end along while might next sound below saw something thought both few those always
	server request response handler checkpoint buffer stream cursor journal segment index record commit timeout
	package interface struct function argument return error value pointer slice channel goroutine mutex deadline
	config default option version release deploy rollback metric histogram latency throughput replica snapshot`)

// prose returns n bytes of made-up text in lines and sentences.
func prose(rng *rand.Rand, n int) string {
	var b strings.Builder
	b.Grow(n + 16)
	for words := 1; b.Len() < n; words++ {
		b.WriteString(vocabulary[rng.IntN(len(vocabulary))])
		switch {
		case words%61 == 0:
			b.WriteString(".\n\n")
		case words%13 == 0:
			b.WriteString(",\n")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()[:n]
}
