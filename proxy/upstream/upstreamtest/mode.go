package upstreamtest

import (
	"io"
	"net"
	"strings"
	"time"
)

// Mode is a way to answer.
type Mode int

const (
	// Behave answers with what Server.Answer set.
	Behave Mode = iota
	// Drop closes the connection without an answer.
	Drop
	// Hang takes the request and never answers.
	Hang
	// HangInHead stops in the middle of the head.
	HangInHead
	// CutInHead closes the connection there.
	CutInHead
	// HangInBody stops in the middle of a body of ShortBody bytes, HangInLongBody
	// of one of LongBody.
	HangInBody
	HangInLongBody
	// CutInBody and CutInLongBody close the connection there: the length is
	// wrong.
	CutInBody
	CutInLongBody
	// CutInChunk closes the connection within a chunk, CutInChunks between two.
	CutInChunk
	CutInChunks
	// HalfClose shuts down its sending side without an answer and goes on
	// reading.
	HalfClose
	// Drip sends a body of ShortBody bytes one at a time.
	Drip
	// TooLong sends more than the length that it announces.
	TooLong
	// Garbage answers in no HTTP.
	Garbage
	// TwoLengths and LengthAndChunks contradict themselves; the chunks are right.
	TwoLengths
	LengthAndChunks
	// Endless sends a head that does not end.
	Endless
)

// ShortBody and LongBody are the lengths of the bodies that a misbehaving server
// announces, in bytes.
const (
	ShortBody = 100
	LongBody  = 1 << 20
)

const (
	shortHead = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n"
	lastHead  = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n"
	longHead  = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1048576\r\n\r\n"
	chunkHead = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// dripEvery is the pause of Drip.
const dripEvery = time.Millisecond

// on answers on a connection whose request's head has been read.
func (m Mode) on(c net.Conn, release <-chan struct{}) {
	send := func(s string) { _, _ = io.WriteString(c, s) }
	switch m {
	case Drop:
	case Hang:
		<-release
	case HangInHead:
		send(shortHead[:len(shortHead)/2])
		<-release
	case CutInHead:
		send(shortHead[:len(shortHead)/2])
	case HangInBody:
		send(shortHead + "begun")
		<-release
	case HangInLongBody:
		send(longHead + "begun")
		<-release
	case CutInBody:
		send(shortHead + "begun")
	case CutInLongBody:
		send(longHead + "begun")
	case CutInChunk:
		send(chunkHead + "5\r\nbegun\r\n10\r\nhalf")
	case CutInChunks:
		send(chunkHead + "5\r\nbegun\r\n")
	case HalfClose:
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		<-release
	case Drip:
		send(lastHead)
		for range ShortBody {
			select {
			case <-time.After(dripEvery):
			case <-release:
				return
			}
			send("d")
		}
	case TooLong:
		send(shortHead + strings.Repeat("x", 2*ShortBody))
		<-release
	case Garbage:
		send("220 smtp.example ESMTP ready\r\n")
	case TwoLengths:
		send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello")
	case LengthAndChunks:
		send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	case Endless:
		send("HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X-Filler: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}
}
